//! A site with QQ login, browsers that visit it, and a mock QQ, all in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    body::Body,
    response::Html,
    routing::{get, post},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_qq_auth::{
    QqApp, QqAppBuilder, QqAuthLayer, QqAuthLayerBuilder, QqClient, QqLogin, QqUser, SessionKeys,
    mock::MockQq,
};

pub(crate) const APP_ID: &str = "101905280";
pub(crate) const APP_KEY: &str = "canary-app-key";
/// A key that tests can find in outputs. Without the control character it would be refused as text.
pub(crate) const SESSION_KEY: &str = "canary-session-key \u{1b} W5tJ8rVz2mQx9Lp4";
pub(crate) const CALLBACK: &str = "https://site.example/auth/qq/callback";
/// The name of the session cookie.
pub(crate) const SESSION: &str = "__Host-qq_session";
/// The prefix of the names of login cookies.
pub(crate) const LOGIN: &str = "__Host-qq_login_";

/// The site at <https://site.example>.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) qq: MockQq,
    pub(crate) router: Router,
    pub(crate) clock: Clock,
}

/// A clock that moves only when a test moves it.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    pub(crate) fn new() -> Self {
        // Ahead of the real time, which revocation lists have.
        Self(Arc::new(Mutex::new(
            SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
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
    app_builder().build().unwrap()
}

/// The usual app, for tests that change its settings.
pub(crate) fn app_builder() -> QqAppBuilder {
    QqApp::builder(APP_ID, APP_KEY, CALLBACK)
}

/// The same keys at every call, so that all sites of a test can open each other's cookies.
pub(crate) fn keys() -> SessionKeys {
    SessionKeys::new(SESSION_KEY.as_bytes()).unwrap()
}

pub(crate) fn layer(qq: &MockQq) -> QqAuthLayer {
    builder(qq).build().unwrap()
}

/// The usual layer, for tests that change its settings.
pub(crate) fn builder(qq: &MockQq) -> QqAuthLayerBuilder {
    QqAuthLayer::builder(QqClient::with_service(app(), qq.clone()), keys())
}

/// The pages of the site, without the layer.
pub(crate) fn pages() -> Router {
    Router::new()
        .route(
            "/",
            get(async |user: Option<QqUser>| {
                Html(user.map_or("signed out".into(), |user| user.nickname().to_owned()))
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
        app: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
        layer: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
    ) -> Self {
        Self::build(app, |_| pages(), layer)
    }

    /// A site with the usual pages and `more`.
    pub(crate) fn with_pages(
        more: impl FnOnce(&MockQq) -> Router,
        layer: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
    ) -> Self {
        Self::build(|app| app, |qq| pages().merge(more(qq)), layer)
    }

    fn build(
        app: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
        pages: impl FnOnce(&MockQq) -> Router,
        layer: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
    ) -> Self {
        let (qq, clock) = (qq(), Clock::new());
        let app = app(app_builder()).build().unwrap();
        let client = QqClient::with_service(app, qq.clone());
        let time = clock.clone();
        let builder = QqAuthLayer::builder(client, keys()).clock(move || time.now());
        let layer = layer(builder).build().unwrap();
        let router = pages(&qq).layer(layer);
        Self { qq, router, clock }
    }

    /// A site with the usual pages and `more`, which call the layer.
    pub(crate) fn with_layer(
        more: impl FnOnce(&QqAuthLayer) -> Router,
        configure: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
    ) -> (Self, QqAuthLayer) {
        let (qq, clock) = (qq(), Clock::new());
        let time = clock.clone();
        let builder = builder(&qq).clock(move || time.now());
        let layer = configure(builder).build().unwrap();
        let router = pages().merge(more(&layer)).layer(layer.clone());
        (Self { qq, router, clock }, layer)
    }

    /// A new browser without cookies.
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

    /// A browser in which the first user of the mock is signed in.
    pub(crate) async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let end = browser.sign_in(&self.qq, "/auth/qq/login").await;
        assert_eq!(end.status, StatusCode::SEE_OTHER, "{}", end.body);
        browser
    }

    /// A login of this user of the mock that came without a callback.
    pub(crate) async fn bare_login(&self, person: usize) -> QqLogin {
        let client = QqClient::with_service(app(), self.qq.clone());
        let url = client.authorize_url("abc", false);
        let back = self.qq.approve_as(&url, &self.qq.people()[person].openid);
        client.login(param(&back.unwrap(), "code")).await.unwrap()
    }
}

/// A browser with a cookie jar. It does not follow redirects.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) router: Router,
    pub(crate) jar: BTreeMap<String, String>,
    /// Sent with every request.
    pub(crate) headers: HeaderMap,
}

/// A response with its complete body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) extensions: http::Extensions,
}

impl Browser {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let name = HeaderName::from_static(name);
        self.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// Makes this client a program, which accepts JSON instead of HTML.
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
        self.send_body(method, uri, Body::empty()).await
    }

    pub(crate) async fn post_json(&mut self, uri: &str, body: impl Into<Body>) -> Reply {
        let mut browser = self.clone().header("content-type", "application/json");
        let reply = browser.send_body(Method::POST, uri, body).await;
        self.jar = browser.jar;
        reply
    }

    pub(crate) async fn send_body(
        &mut self,
        method: Method,
        uri: &str,
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .body(body.into())
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
            extensions: head.extensions,
        }
    }

    /// Starts a login, approves it as the first user of the mock, and returns the callback that QQ
    /// redirects to.
    pub(crate) async fn callback_from(&mut self, qq: &MockQq, login: &str) -> String {
        // A program would get the authorize URL as JSON instead of a redirect.
        let mut clicking = self.clone().header("accept", "text/html");
        let start = clicking.get(login).await;
        self.jar = clicking.jar;
        path(&qq.approve(start.location()).unwrap())
    }

    /// Completes a login and returns the response to its callback.
    pub(crate) async fn sign_in(&mut self, qq: &MockQq, login: &str) -> Reply {
        let callback = self.callback_from(qq, login).await;
        self.get(&callback).await
    }

    /// Returns the signed-in user as JSON, or `null`.
    pub(crate) async fn whoami(&mut self) -> serde_json::Value {
        let reply = self.get("/whoami").await;
        assert_eq!(reply.status, StatusCode::OK);
        serde_json::from_str(&reply.body).unwrap()
    }

    /// Counts the login cookies in the jar.
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

    /// Parses the problem JSON of a failure.
    #[track_caller]
    pub(crate) fn problem(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), "application/problem+json");
        serde_json::from_str(&self.body).unwrap()
    }

    /// Fails unless this is the problem JSON of the given failure, without a session cookie.
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

/// Runs a future in a property, whose body is not async.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(future)
}

/// Returns the path and query of a URL.
pub(crate) fn path(url: &str) -> String {
    let uri: http::Uri = url.parse().unwrap();
    uri.path_and_query().unwrap().to_string()
}

/// Returns the value of a query parameter, still percent-encoded.
#[track_caller]
pub(crate) fn param<'u>(url: &'u str, name: &str) -> &'u str {
    let query = url.split_once('?').unwrap().1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .unwrap_or_else(|| panic!("no {name} in {url}"))
        .1
}
