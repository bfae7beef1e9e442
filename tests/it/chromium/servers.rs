//! An API, a front end on another origin, a page of a stranger and QQ, which a browser visits.

use std::{
    convert::Infallible,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::{Html, Response},
    routing::get,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt, service_fn};
use tower_http::{cors::CorsLayer, set_header::SetResponseHeaderLayer};
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqClient, QqLogin, QqSession, QqUser, Verdict, mock::MockQq,
};
use tracing::{dispatcher::get_default, instrument::WithSubscriber};

use super::{Settings, Window};
use crate::{
    site::{APP_ID, APP_KEY, keys},
    tls::Authority,
};

const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// A cookie that browsers send from everywhere, unless they block those of third parties.
const THIRD_PARTY: &str = "third-party=1; SameSite=None; Secure";
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// The origins of the servers.
#[derive(Clone)]
pub(super) struct Origins {
    pub(super) api: String,
    /// The front end, which the API trusts.
    pub(super) page: String,
    /// A front end that the API trusts although it belongs to another site.
    pub(super) elsewhere: String,
    /// Not trusted.
    pub(super) stranger: String,
    qq: String,
}

/// The servers of one test.
pub(super) struct Servers {
    pub(super) origins: Origins,
    isolates_qq: Arc<AtomicBool>,
}

impl Servers {
    /// Starts the servers on ports of this machine, where `localhost` is another site than
    /// `127.0.0.1`, and opens a window. Returns `None` if no browser is installed.
    pub(super) async fn on_ports(settings: Settings) -> Option<(Self, Window)> {
        Self::on_ports_with(Router::new(), settings).await
    }

    /// The same with more pages at the API.
    pub(super) async fn on_ports_with(pages: Router, settings: Settings) -> Option<(Self, Window)> {
        let window = Window::open(settings).await?;
        let hosts = [
            "127.0.0.1",
            "127.0.0.1",
            "localhost",
            "localhost",
            "localhost",
        ];
        let (mut listeners, mut origins) = (Vec::new(), Vec::new());
        for host in hosts {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            origins.push(format!("http://{host}:{port}"));
            listeners.push(listener);
        }
        let origins = Origins::new(origins.try_into().unwrap());
        let (servers, routers) = Self::build(origins, pages);
        for (listener, router) in listeners.into_iter().zip(routers) {
            tokio::spawn(axum::serve(listener, router).into_future());
        }
        Some((servers, window))
    }

    /// Starts the servers by https on names, of which all but two are subdomains of `site.test`,
    /// and opens a window. Returns `None` if no browser is installed.
    pub(super) async fn on_subdomains(settings: Settings) -> Option<(Self, Window)> {
        let hosts = [
            "api.site.test",
            "www.site.test",
            "www.other.test",
            "evil.site.test",
            "qq.test",
        ];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let https_port = Some(port);
        let settings = Settings {
            https_port,
            ..settings
        };
        let window = Window::open(settings).await?;
        let origins = Origins::new(hosts.map(|host| format!("https://{host}")));
        let (servers, routers) = Self::build(origins, Router::new());
        let service = service_fn(move |request: Request| {
            let host = request.headers()[header::HOST].to_str().unwrap();
            let index = hosts.iter().position(|known| *known == host).unwrap();
            routers[index].clone().oneshot(request)
        });
        let acceptor = Authority::new(&format!("chromium-{port}")).acceptor(&hosts, &["http/1.1"]);
        tokio::spawn(serve_https(listener, acceptor, service));
        Some((servers, window))
    }

    /// Lets QQ's page cut itself off from the page that opened it.
    pub(super) fn isolate_qq(&self) {
        self.isolates_qq.store(true, Ordering::Relaxed);
    }

    /// Returns the servers, and their routers in the order of [`Origins::new`].
    fn build(origins: Origins, pages: Router) -> (Self, [Router; 5]) {
        let callback = format!("{}/auth/qq/callback", origins.api);
        let qq = MockQq::new(APP_ID, APP_KEY, &*callback);
        let isolates_qq = Arc::<AtomicBool>::default();
        let app = QqApp::builder(APP_ID, APP_KEY, callback)
            .base_url(&origins.qq)
            .build()
            .unwrap();
        let client = QqClient::with_service(app, qq.clone());
        let layer = QqAuthLayer::builder(client, keys())
            .trusted_origins([&origins.page, &origins.elsewhere])
            .on_login(|login: QqLogin, _| ready(Ok(verdict(&login))))
            .build()
            .unwrap();
        let routers = [
            api(pages, &origins, layer),
            front_end(&origins.api),
            front_end(&origins.api),
            stranger(),
            qq_pages(qq, Arc::clone(&isolates_qq)),
        ];
        let servers = Self {
            origins,
            isolates_qq,
        };
        (servers, routers)
    }
}

async fn serve_https<S>(listener: TcpListener, acceptor: TlsAcceptor, service: S)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, service) = (acceptor.clone(), service.clone());
        tokio::spawn(async move {
            let stream = TokioIo::new(acceptor.accept(stream).await.ok()?);
            let service = service.map_request(|request: Request<_>| request.map(Body::new));
            let service = TowerToHyperService::new(service);
            let served = http1::Builder::new().serve_connection(stream, service);
            served.await.ok()
        });
    }
}

impl Origins {
    fn new([api, page, elsewhere, stranger, qq]: [String; 5]) -> Self {
        Self {
            api,
            page,
            elsewhere,
            stranger,
            qq,
        }
    }
}

/// A login with an intent sets the account to the intent.
fn verdict(login: &QqLogin) -> Verdict {
    match login.intent() {
        Some(intent) => Verdict::allow().with_account(intent),
        None => Verdict::allow(),
    }
}

fn api(pages: Router, origins: &Origins, layer: QqAuthLayer) -> Router {
    let name = |session: &QqSession| {
        let account = session.account().unwrap_or("no account");
        format!("{}, {account}", session.user().nickname())
    };
    let whoami = async move |session: Option<QqSession>| {
        session.map_or_else(|| "nobody".into(), |session| name(&session))
    };
    let rendered = async |user: Option<QqUser>| {
        let name = user.map_or_else(|| "nobody".into(), |user| user.nickname().to_owned());
        let page = include_str!("rendered.html");
        let no_store = [(header::CACHE_CONTROL, "no-store")];
        (no_store, Html(page.replace("USER_NAME", &name)))
    };
    let third_party = async |headers: HeaderMap| {
        let cookies = headers.get(header::COOKIE).cloned();
        let cookies = cookies.map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        ([(header::SET_COOKIE, THIRD_PARTY)], cookies)
    };
    let trusted = [&origins.page, &origins.elsewhere];
    let cors = CorsLayer::new()
        .allow_origin(trusted.map(|origin| origin.parse().unwrap()))
        .allow_methods([Method::GET, Method::POST])
        .allow_credentials(true);
    // The log of a test is that of its thread, and the API runs on others.
    let log = get_default(Clone::clone);
    let log =
        from_fn(move |request: Request, next: Next| next.run(request).with_subscriber(log.clone()));
    front_end("")
        .merge(pages)
        .route("/whoami", get(whoami))
        .route("/me", get(async |user: QqUser| user.nickname().to_owned()))
        .route("/rendered", get(rendered))
        .route("/third-party", get(third_party))
        .layer(layer)
        .layer(cors)
        .layer(log)
}

/// The page of the front end, and the same with a policy that cuts off the pages of other origins
/// that it opens.
fn front_end(api: &str) -> Router {
    let page = include_str!("front_end.html").replace("API_ORIGIN", api);
    let isolated = SetResponseHeaderLayer::overriding(COOP, SAME_ORIGIN);
    let page = get(move || ready(Html(page)));
    let snippet = include_str!("../../../examples/sites/examples/front_end/qq-login.js");
    let snippet = move || ready(([(header::CONTENT_TYPE, "text/javascript")], snippet));
    Router::new()
        .route("/", page.clone())
        .route("/isolated", page.layer(isolated))
        .route("/qq-login.js", get(snippet))
}

fn stranger() -> Router {
    Router::new().route("/", get(|| ready(Html(include_str!("stranger.html")))))
}

fn qq_pages(qq: MockQq, isolates: Arc<AtomicBool>) -> Router {
    let isolate = move |request: Request, next: Next| {
        let isolates = Arc::clone(&isolates);
        async move {
            let mut response: Response = next.run(request).await;
            if isolates.load(Ordering::Relaxed) {
                response.headers_mut().insert(COOP, SAME_ORIGIN);
            }
            Ok::<_, Infallible>(response)
        }
    };
    Router::new().fallback_service(qq).layer(from_fn(isolate))
}

/// Sends a request with cookies from the page, and returns its status and its text, or `null` if
/// the page may not read the response.
pub(super) async fn fetch(window: &Window, url: &str, options: &str) -> serde_json::Value {
    let fetch = format!(
        "return fetch('{url}', {{ credentials: 'include', ...{options} }})
            .then(async reply => [reply.status, await reply.text()], () => null)"
    );
    window.run(&fetch).await
}
