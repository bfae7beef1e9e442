//! A site with QQ login, the browsers that visit it, and the QQ behind it: all in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    body::Body,
    routing::{get, post},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};

pub(crate) const APP_ID: &str = "101905280";
pub(crate) const APP_KEY: &str = "canary-app-key";
pub(crate) const CALLBACK: &str = "https://site.example/auth/qq/callback";
pub(crate) const SESSION: &str = "__Host-qq_session";
pub(crate) const LOGIN: &str = "__Host-qq_login_";

/// A site that runs at <https://site.example>, with a clock of its own.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) qq: MockQq,
    pub(crate) router: Router,
    pub(crate) clock: Clock,
}

#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        )))
    }

    pub(crate) fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }

    pub(crate) fn turn_back(&self, by: Duration) {
        *self.0.lock().unwrap() -= by;
    }
}

pub(crate) fn qq() -> MockQq {
    MockQq::new(APP_ID, APP_KEY, CALLBACK)
}

pub(crate) fn app() -> QqApp {
    QqApp::new(APP_ID, APP_KEY, CALLBACK).unwrap()
}

/// The same bytes at every call: what one test seals another site of that test can open.
pub(crate) fn keys() -> SessionKeys {
    SessionKeys::new(b"canary-session-key 0123456789abcdef").unwrap()
}

pub(crate) fn layer(qq: &MockQq) -> QqAuthLayer {
    QqAuthLayer::with_client(QqClient::with_service(app(), qq.clone()), keys())
}

/// The pages of the site, as yet without the layer.
pub(crate) fn pages() -> Router {
    Router::new()
        .route(
            "/",
            get(async |user: Option<QqUser>| {
                user.map_or("nobody".into(), |user| user.nickname().to_owned())
            }),
        )
        .route("/whoami", get(async |user: Option<QqUser>| Json(user)))
        .route("/me", get(async |user: QqUser| Json(user)))
        .route(
            "/deep/page",
            get(async |user: QqUser| user.openid().to_string()),
        )
        .route(
            "/form",
            post(async |user: QqUser| user.openid().to_string()),
        )
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(|app| app, |layer| layer)
    }

    pub(crate) fn with(
        app: impl FnOnce(QqApp) -> QqApp,
        layer: impl FnOnce(QqAuthLayer) -> QqAuthLayer,
    ) -> Self {
        Self::build(app, |_| pages(), layer)
    }

    /// A site with more pages than the usual ones.
    pub(crate) fn with_pages(
        more: impl FnOnce(&MockQq) -> Router,
        layer: impl FnOnce(QqAuthLayer) -> QqAuthLayer,
    ) -> Self {
        Self::build(|app| app, |qq| pages().merge(more(qq)), layer)
    }

    fn build(
        app: impl FnOnce(QqApp) -> QqApp,
        pages: impl FnOnce(&MockQq) -> Router,
        layer: impl FnOnce(QqAuthLayer) -> QqAuthLayer,
    ) -> Self {
        let (qq, clock) = (qq(), Clock::new());
        let client = QqClient::with_service(app(self::app()), qq.clone());
        let time = clock.clone();
        let built = QqAuthLayer::with_client(client, keys()).clock(move || time.now());
        let router = pages(&qq).layer(layer(built));
        Self { qq, router, clock }
    }

    /// A new browser that has never been here.
    pub(crate) fn browser(&self) -> Browser {
        Browser {
            router: self.router.clone(),
            jar: BTreeMap::new(),
            headers: HeaderMap::from_iter([(
                header::ACCEPT,
                HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"),
            )]),
        }
    }

    /// A browser in which somebody is signed in.
    pub(crate) async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let end = browser.sign_in(&self.qq, "/auth/qq/login").await;
        assert_eq!(end.status, StatusCode::SEE_OTHER, "{}", end.body);
        browser
    }
}

/// A browser as far as cookies go. It follows no redirect by itself.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) router: Router,
    pub(crate) jar: BTreeMap<String, String>,
    /// Sent with every request.
    pub(crate) headers: HeaderMap,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let name = HeaderName::from_static(name);
        self.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// A program instead of a person.
    pub(crate) fn program(self) -> Self {
        self.header("accept", "application/json")
    }

    pub(crate) async fn get(&mut self, uri: &str) -> Reply {
        self.send(Method::GET, uri).await
    }

    pub(crate) async fn post(&mut self, uri: &str) -> Reply {
        self.send(Method::POST, uri).await
    }

    pub(crate) async fn send(&mut self, method: Method, uri: &str) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Body::empty())
            .unwrap();
        *request.headers_mut() = self.headers.clone();
        if !self.jar.is_empty() {
            let pairs = self
                .jar
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            let cookies = pairs.collect::<Vec<_>>().join("; ");
            request
                .headers_mut()
                .append(header::COOKIE, cookies.parse().unwrap());
        }
        let (head, body) = self
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        for cookie in head.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie::Cookie::parse(cookie.to_str().unwrap()).unwrap();
            if cookie.max_age().is_some_and(|age| age.is_zero()) {
                self.jar.remove(cookie.name());
            } else {
                self.jar.insert(cookie.name().into(), cookie.value().into());
            }
        }
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Starts a login, chooses the first person at QQ, and gives the callback that QQ sends the browser to.
    pub(crate) async fn callback_from(&mut self, qq: &MockQq, login: &str) -> String {
        // A person clicks, whatever this browser asks for otherwise: a program would get the address as JSON.
        let mut person = self.clone().header("accept", "text/html");
        let start = person.get(login).await;
        self.jar = person.jar;
        path(&qq.approve(start.location()).unwrap())
    }

    /// A whole login; the reply is that of the callback.
    pub(crate) async fn sign_in(&mut self, qq: &MockQq, login: &str) -> Reply {
        let callback = self.callback_from(qq, login).await;
        self.get(&callback).await
    }

    /// Who the site takes this browser for.
    pub(crate) async fn whoami(&mut self) -> serde_json::Value {
        let reply = self.get("/whoami").await;
        assert_eq!(reply.status, StatusCode::OK);
        serde_json::from_str(&reply.body).unwrap()
    }

    pub(crate) fn pending_logins(&self) -> usize {
        self.jar
            .keys()
            .filter(|name| name.starts_with(LOGIN))
            .count()
    }
}

impl Reply {
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{self:?}");
        self.header("location")
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("{name} is missing in {self:?}"));
        value.to_str().unwrap()
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(header::SET_COOKIE);
        cookies
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    /// The failure that it tells of, as programs see it.
    #[track_caller]
    pub(crate) fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/problem+json");
        serde_json::from_str(&self.body).unwrap()
    }

    /// Fails unless it is this failure, told to a program, and starts no session.
    #[track_caller]
    pub(crate) fn assert_failed(&self, status: u16, code: &str) {
        let problem = self.problem();
        assert_eq!(
            (self.status.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        assert_eq!(problem["status"], status);
        let session = self
            .cookies()
            .into_iter()
            .any(|cookie| cookie.starts_with(SESSION));
        assert!(!session, "a failure starts no session: {self:?}");
    }
}

/// For properties, which are not asynchronous themselves.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(future)
}

/// Path and query of a URL.
pub(crate) fn path(url: &str) -> String {
    let uri: http::Uri = url.parse().unwrap();
    uri.path_and_query().unwrap().to_string()
}

/// The value of a parameter in a URL, as it stands there.
#[track_caller]
pub(crate) fn param<'u>(url: &'u str, name: &str) -> &'u str {
    let query = url.split_once('?').unwrap().1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .unwrap_or_else(|| panic!("no {name} in {url}"))
        .1
}
