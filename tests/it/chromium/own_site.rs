//! A site in the process of the test, which sees every request of the browser.

use std::{
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::Html,
    routing::get,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::Full;
use tokio::{net::TcpListener, sync::watch, task::yield_now, time::timeout};
use tower::{ServiceExt, service_fn};
use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, mock::MockQq};

use crate::{
    process::callback_at,
    site::{APP_ID, APP_KEY, keys},
};

/// Longer than any wait here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fetches everything by itself, as the workers of many frameworks do.
const WORKER: &str = "addEventListener('install', () => skipWaiting());
    addEventListener('activate', event => event.waitUntil(clients.claim()));
    addEventListener('fetch', event => event.respondWith(fetch(event.request)))";

/// A site on 127.0.0.1 with a QQ on localhost, which is another site to the browser.
pub(super) struct OwnSite {
    pub(super) url: String,
    pub(super) qq: MockQq,
    answers: watch::Sender<bool>,
    visits: Arc<Mutex<Vec<Visit>>>,
}

/// A request of the browser.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) path: String,
    headers: HeaderMap,
    /// `None` until it is answered.
    pub(super) status: Option<StatusCode>,
}

impl Visit {
    /// Returns a header, or an empty string if it is missing.
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

impl OwnSite {
    pub(super) async fn start() -> Self {
        let qq_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let qq_port = qq_listener.local_addr().unwrap().port();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let qq = MockQq::new(APP_ID, APP_KEY, callback_at(address));
        tokio::spawn(qq.clone().serve(qq_listener));

        let (answers, _) = watch::channel(true);
        let app = QqApp::builder(APP_ID, APP_KEY, callback_at(address))
            .base_url(format!("http://localhost:{qq_port}"))
            .call_timeout(PATIENCE)
            .login_timeout(PATIENCE)
            .build()
            .unwrap();
        let gate = {
            let (qq, answers) = (qq.clone(), answers.clone());
            service_fn(move |request: Request<Full<Bytes>>| {
                let (qq, mut answers) = (qq.clone(), answers.subscribe());
                async move {
                    let response = qq.oneshot(request).await;
                    answers.wait_for(|answers| *answers).await.unwrap();
                    response
                }
            })
        };
        let layer = QqAuthLayer::new(QqClient::with_service(app, gate), keys());
        let visits = Arc::<Mutex<Vec<Visit>>>::default();
        let router = pages().layer(layer);
        let router = router.layer(from_fn({
            let visits = Arc::clone(&visits);
            move |request: Request, next: Next| {
                let visits = Arc::clone(&visits);
                let visit = Visit {
                    path: request.uri().to_string(),
                    headers: request.headers().clone(),
                    status: None,
                };
                async move {
                    let number = {
                        let mut visits = visits.lock().unwrap();
                        visits.push(visit);
                        visits.len() - 1
                    };
                    let response = next.run(request).await;
                    visits.lock().unwrap()[number].status = Some(response.status());
                    response
                }
            }
        }));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self {
            url: format!("http://{address}/"),
            qq,
            answers,
            visits,
        }
    }

    /// Sets whether QQ answers the site; if not, calls wait.
    pub(super) fn set_qq_answers(&self, answers: bool) {
        self.answers.send_replace(answers);
    }

    /// Returns the requests for paths that start with `path`, oldest first.
    pub(super) fn visits(&self, path: &str) -> Vec<Visit> {
        let visits = self.visits.lock().unwrap();
        let found = visits.iter().filter(|visit| visit.path.starts_with(path));
        found.cloned().collect()
    }

    /// Returns the URL of the first callback.
    pub(super) fn callback(&self) -> String {
        let visits = self.visits("/auth/qq/callback?");
        format!("{}{}", self.url.trim_end_matches('/'), visits[0].path)
    }

    /// Waits until so many requests for paths that start with `path` have arrived.
    pub(super) async fn wait_for_visits(&self, path: &str, number: usize) {
        let wait = async {
            while self.visits(path).len() < number {
                yield_now().await;
            }
        };
        let waited = timeout(PATIENCE, wait).await;
        waited
            .unwrap_or_else(|_| panic!("not {number} requests for {path}: {:?}", self.visits("")));
    }
}

fn pages() -> Router {
    let home = async |user: Option<QqUser>| {
        let content = user.map_or_else(
            || {
                "<p>signed out</p><a href=\"/auth/qq/login\">sign in</a> <a href=\"/me\">me</a>"
                    .into()
            },
            |user| format!("<p>home of {}</p>", user.nickname()),
        );
        Html(format!("<!doctype html><title>site</title>{content}"))
    };
    let me = async |user: QqUser| Html(format!("<p>account of {}</p>", user.nickname()));
    let worker = || ready(([(header::CONTENT_TYPE, "text/javascript")], WORKER));
    Router::new()
        .route("/", get(home))
        .route("/me", get(me))
        .route("/worker.js", get(worker))
}
