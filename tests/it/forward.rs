//! `forward_callback` and `without_session`: callbacks that a handler of the app answers.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    response::{AppendHeaders, IntoResponse},
    routing::get,
};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::{sync::Notify, time::timeout};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_qq_auth::{
    LoginRequired, OpenId, QqAuthLayer, QqClient, QqLogin, QqTokens, QqUser,
    mock::{Endpoint, Fault},
};

use crate::site::{self, Browser, LOGIN, SESSION, Site};

const CALLBACK_PATH: &str = "/auth/qq/callback";

/// A site with a handler for the callback.
fn site_with_handler<T: IntoResponse + 'static>(
    handler: impl Fn(QqUser, QqLogin) -> T + Clone + Send + Sync + 'static,
) -> Site {
    let route =
        get(async move |user: QqUser, Extension(login): Extension<QqLogin>| handler(user, login));
    Site::with_pages(
        |_| Router::new().route(CALLBACK_PATH, route),
        |layer| layer.forward_callback(),
    )
}

/// A browser of `site` that visits a plain tower service instead of its pages.
fn browser_at<S>(site: &Site, layer: &QqAuthLayer, service: S) -> Browser
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let router = Router::new().fallback_service(layer.layer(service));
    Browser {
        router,
        ..site.browser()
    }
}

fn forwarding_layer(site: &Site) -> QqAuthLayer {
    let clock = site.clock.clone();
    let layer = site::builder(&site.qq).clock(move || clock.now());
    layer.forward_callback().build().unwrap()
}

#[tokio::test]
async fn the_callback_handler_gets_the_user_and_the_return_to() {
    let site = site_with_handler(|user, login| {
        let cookie = AppendHeaders([(header::SET_COOKIE, "app=1; Path=/")]);
        let caching = [(header::CACHE_CONTROL, "max-age=60")];
        let body = format!(
            "{} {} {}",
            user.openid(),
            login.user().openid(),
            login.return_to()
        );
        (StatusCode::CREATED, caching, cookie, body)
    });
    let mut browser = site.browser();
    let reply = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/deep/page?a=1")
        .await;
    let openid = &site.qq.people()[0].openid;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.body, format!("{openid} {openid} /deep/page?a=1"));
    assert_eq!(reply.header("cache-control"), "no-store");
    let names = reply.cookies();
    let names: Vec<_> = names
        .iter()
        .map(|it| it.split('=').next().unwrap())
        .collect();
    assert_eq!((names.len(), names[0], names[2]), (3, "app", SESSION));
    assert!(names[1].starts_with(LOGIN));
    assert_eq!(browser.pending_logins(), 0);
    assert_eq!(browser.whoami().await["openid"], *openid);
}

#[tokio::test]
async fn a_plain_tower_service_gets_the_login_and_the_unchanged_request() {
    let site = Site::new();
    let service = service_fn(async |request: Request<Body>| {
        let (head, body) = request.into_parts();
        let login = head.extensions.get::<QqLogin>().unwrap();
        let user = head.extensions.get::<QqUser>().unwrap();
        let note = head.extensions.get::<&'static str>().unwrap();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!((login.user(), &body[..]), (user, &b"a body"[..]));
        let answer = format!(
            "{note} {} {}",
            user.openid(),
            head.headers["x-note"].to_str().unwrap()
        );
        Ok::<_, Infallible>(Response::new(Body::from(answer)))
    });
    let service = forwarding_layer(&site).layer(service);
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let (name, value) = browser.jar.first_key_value().unwrap();
    let mut request = Request::get(callback)
        .header("cookie", format!("{name}={value}"))
        .header("x-note", "and a header")
        .body(Body::from("a body"))
        .unwrap();
    request.extensions_mut().insert("a note");
    let reply = service.oneshot(request).await.unwrap();
    assert_eq!(
        reply.headers().get_all(header::SET_COOKIE).iter().count(),
        2
    );
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    let expected = format!("a note {} and a header", site.qq.people()[0].openid);
    assert_eq!(body, expected);
}

#[tokio::test]
async fn error_responses_of_the_handler_do_not_sign_in() {
    for (status, signed_in) in [
        (200, true),
        (303, true),
        (400, false),
        (403, false),
        (500, false),
    ] {
        let site = site_with_handler(move |_, _| StatusCode::from_u16(status).unwrap());
        let mut browser = site.browser();
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(reply.status.as_u16(), status);
        assert_eq!(browser.pending_logins(), 0, "{status}");
        assert_eq!(browser.jar.contains_key(SESSION), signed_in, "{status}");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn the_layer_answers_failed_logins() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let site = site_with_handler(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut browser = site.browser().program();
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(400, "code_rejected");
    browser
        .get(CALLBACK_PATH)
        .await
        .assert_failed(400, "invalid_state");
    let head = browser.send(http::Method::HEAD, CALLBACK_PATH).await;
    assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_handler_that_answers_login_required_does_not_sign_in() {
    let site = site_with_handler(|_, _| Extension(LoginRequired));
    let mut browser = site.browser();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(reply.location(), "/auth/qq/login");
    assert!(browser.jar.is_empty(), "{reply:?}");
    let reply = browser.program().sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(401, "login_required");
    assert_eq!(
        reply.cookies().len(),
        1,
        "only the login cookie is cleared: {reply:?}"
    );
}

#[tokio::test]
async fn without_session_sets_no_session_cookie() {
    let route = get(async |user: QqUser, Extension(login): Extension<QqLogin>| {
        let cookie = [(header::SET_COOKIE, "app=1; Path=/")];
        (cookie, format!("{} {}", user.nickname(), login.return_to()))
    });
    let site = Site::with_pages(
        |_| Router::new().route(CALLBACK_PATH, route),
        |layer| layer.without_session(),
    );
    let mut browser = site.browser();
    let reply = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
        .await;
    assert_eq!(reply.body, "小明 /x");
    assert!(!reply.cookies().concat().contains(SESSION), "{reply:?}");
    assert_eq!(browser.jar.keys().collect::<Vec<_>>(), ["app"]);
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_login_holds_no_concurrency_permit_while_it_waits_for_qq() {
    let site = Site::new();
    let service = service_fn(async |_: Request<Body>| Ok(Response::new(Body::from("app"))));
    let limited = ConcurrencyLimit::new(service, 1);
    let mut browser = browser_at(&site, &forwarding_layer(&site), limited);
    site.qq
        .fault(Endpoint::Token, 1, Fault::Latency(Duration::from_secs(3)));
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let mut visitor = browser.clone();
    let login = browser.get(&callback);
    let (reply, ()) = tokio::join!(login, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(site.qq.calls(Endpoint::Token), 1);
        let page = timeout(Duration::from_millis(1), visitor.get("/")).await;
        assert_eq!(page.unwrap().body, "app");
    });
    assert_eq!(reply.body, "app");
}

#[tokio::test(start_paused = true)]
async fn a_callback_waits_for_a_free_concurrency_permit() {
    let site = Site::new();
    let gate = Arc::new(Notify::new());
    let opened = gate.clone();
    let service = service_fn(move |request: Request<Body>| {
        let opened = opened.clone();
        async move {
            if request.uri().path() == "/slow" {
                opened.notified().await;
            }
            Ok(Response::new(Body::from("app")))
        }
    });
    let limited = ConcurrencyLimit::new(service, 1);
    let mut browser = browser_at(&site, &forwarding_layer(&site), limited);
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let mut other = browser.clone();
    let slow = tokio::spawn(async move { other.get("/slow").await.status });
    let mut login = tokio::spawn(async move { browser.get(&callback).await.body });
    let waited = timeout(Duration::from_secs(60), &mut login).await;
    assert!(waited.is_err(), "the callback did not wait for a permit");
    gate.notify_one();
    assert_eq!(slow.await.unwrap(), StatusCode::OK);
    assert_eq!(login.await.unwrap(), "app");
}

/// A service that panics if it is called before it is ready, and fails after `max_polls` polls.
struct Strict {
    is_ready: bool,
    polls: Arc<AtomicUsize>,
    max_polls: usize,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            is_ready: false,
            polls: self.polls.clone(),
            max_polls: self.max_polls,
        }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<Body>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.is_ready = self.polls.fetch_add(1, Ordering::Relaxed) < self.max_polls;
        Poll::Ready(self.is_ready.then_some(()).ok_or("the app is broken"))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called unready");
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn the_callback_polls_the_app_for_readiness_and_reports_its_error() {
    for (max_polls, succeeds) in [(2, true), (1, false)] {
        let site = Site::new();
        let mut browser = site.browser();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let (name, value) = browser.jar.first_key_value().unwrap();
        let request = Request::get(callback).header("cookie", format!("{name}={value}"));
        let strict = Strict {
            is_ready: false,
            polls: Arc::default(),
            max_polls,
        };
        let service = forwarding_layer(&site).layer(strict);
        let reply = service.oneshot(request.body(Body::empty()).unwrap()).await;
        match reply {
            Ok(reply) => assert!(succeeds && reply.status() == StatusCode::OK),
            Err(error) => assert!(!succeeds && error == "the app is broken"),
        }
    }
}

#[tokio::test]
async fn removes_users_logins_and_tokens_planted_by_an_outer_service() {
    let peek = get(async |request: axum::extract::Request| {
        let extensions = request.extensions();
        let user = extensions.get::<QqUser>();
        let login = extensions.get::<QqLogin>();
        let found = (
            user.map(|user| user.openid().to_string()),
            login.map(|login| login.user().openid().to_string()),
            extensions.get::<QqTokens>().is_some(),
        );
        format!("{found:?}")
    });
    let pages = |_: &_| {
        Router::new()
            .route("/peek", peek.clone())
            .route(CALLBACK_PATH, peek)
    };
    let site = Site::with_pages(pages, |layer| layer.forward_callback());
    let other = &site.qq.people()[1].openid;
    let client = QqClient::with_service(site::app(), site.qq.clone());
    let back = site
        .qq
        .approve_as(&client.authorize_url("abc", false), other);
    let planted = client
        .login(site::param(&back.unwrap(), "code"))
        .await
        .unwrap();

    let mut browser = site.browser();
    browser.router = browser
        .router
        .layer(Extension(QqUser::new(OpenId::new("PLANTED").unwrap())))
        .layer(Extension(planted))
        .layer(Extension(QqTokens::new("planted", None, None)));
    assert_eq!(browser.get("/peek").await.body, "(None, None, false)");
    let openid = &site.qq.people()[0].openid;
    let at_callback = browser.sign_in(&site.qq, "/auth/qq/login").await.body;
    assert_eq!(
        at_callback,
        format!("(Some({openid:?}), Some({openid:?}), false)")
    );
    let afterwards = browser.get("/peek").await.body;
    assert_eq!(afterwards, format!("(Some({openid:?}), None, false)"));
}

#[tokio::test]
async fn a_session_cookie_of_the_handler_wins_over_that_of_the_layer() {
    let site = site_with_handler(|_, _| {
        let own = format!("{SESSION}=mine; Path=/; Secure; HttpOnly");
        (AppendHeaders([(header::SET_COOKIE, own)]), "welcome")
    });
    let mut browser = site.browser();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    let cookies = reply.cookies();
    let sessions = cookies.iter().filter(|cookie| cookie.starts_with(SESSION));
    assert_eq!(sessions.count(), 1, "{cookies:?}");
    assert_eq!(browser.jar[SESSION], "mine");
}
