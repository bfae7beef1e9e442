//! `forward_callback` and `without_session`: callbacks that the app answers.

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

const AT: &str = "/auth/qq/callback";

/// A site whose app answers the callback like this.
fn answering<T: IntoResponse + 'static>(
    handler: impl Fn(QqUser, QqLogin) -> T + Clone + Send + Sync + 'static,
) -> Site {
    let route =
        get(async move |user: QqUser, Extension(login): Extension<QqLogin>| handler(user, login));
    Site::with_pages(
        |_| Router::new().route(AT, route),
        |layer| layer.forward_callback(),
    )
}

/// The browsers of `site`, at a plain tower service instead of its pages.
fn at_service<S>(site: &Site, layer: &QqAuthLayer, service: S) -> Browser
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

fn forwarding(site: &Site) -> QqAuthLayer {
    let clock = site.clock.clone();
    let layer = site::layer(&site.qq).clock(move || clock.now());
    layer.forward_callback()
}

#[tokio::test]
async fn the_app_answers_the_callback_and_knows_who_and_where_to() {
    let site = answering(|user, login| {
        let own = AppendHeaders([(header::SET_COOKIE, "own=1; Path=/")]);
        let caching = [(header::CACHE_CONTROL, "max-age=60")];
        let told = format!(
            "{} {} {}",
            user.openid(),
            login.user().openid(),
            login.return_to()
        );
        (StatusCode::CREATED, caching, own, told)
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
    assert_eq!((names.len(), names[0], names[2]), (3, "own", SESSION));
    assert!(names[1].starts_with(LOGIN));
    assert_eq!(browser.pending_logins(), 0);
    assert_eq!(browser.whoami().await["openid"], *openid);
}

#[tokio::test]
async fn a_plain_tower_service_finds_the_login_and_the_request_as_it_came() {
    let site = Site::new();
    let service = service_fn(async |request: Request<Body>| {
        let (head, body) = request.into_parts();
        let login = head.extensions.get::<QqLogin>().unwrap();
        let user = head.extensions.get::<QqUser>().unwrap();
        let note = head.extensions.get::<&'static str>().unwrap();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!((login.user(), &body[..]), (user, &b"a body"[..]));
        let told = format!(
            "{note} {} {}",
            user.openid(),
            head.headers["x-note"].to_str().unwrap()
        );
        Ok::<_, Infallible>(Response::new(Body::from(told)))
    });
    let service = forwarding(&site).layer(service);
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
async fn an_app_that_answers_with_an_error_has_let_nobody_in() {
    for (status, signed_in) in [
        (200, true),
        (303, true),
        (400, false),
        (403, false),
        (500, false),
    ] {
        let site = answering(move |_, _| StatusCode::from_u16(status).unwrap());
        let mut browser = site.browser();
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(reply.status.as_u16(), status);
        assert_eq!(browser.pending_logins(), 0, "{status}");
        assert_eq!(browser.jar.contains_key(SESSION), signed_in, "{status}");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_failed_login_is_answered_by_the_layer() {
    let called = Arc::new(AtomicUsize::new(0));
    let count = called.clone();
    let site = answering(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut browser = site.browser().program();
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(400, "code_rejected");
    browser.get(AT).await.assert_failed(400, "invalid_state");
    let head = browser.send(http::Method::HEAD, AT).await;
    assert_eq!(head.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(called.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_handler_that_still_wants_a_login_signs_nobody_in() {
    let site = answering(|_, _| Extension(LoginRequired));
    let mut browser = site.browser();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(reply.location(), "/auth/qq/login");
    assert!(browser.jar.is_empty(), "{reply:?}");
    let reply = browser.program().sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(401, "login_required");
    assert_eq!(reply.cookies().len(), 1, "the login is used up: {reply:?}");
}

#[tokio::test]
async fn an_app_with_sessions_of_its_own_gets_none_of_ours() {
    let route = get(async |user: QqUser, Extension(login): Extension<QqLogin>| {
        let own = [(header::SET_COOKIE, "own=1; Path=/")];
        (own, format!("{} {}", user.nickname(), login.return_to()))
    });
    let site = Site::with_pages(
        |_| Router::new().route(AT, route),
        |layer| layer.without_session(),
    );
    let mut browser = site.browser();
    let reply = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
        .await;
    assert_eq!(reply.body, "小明 /x");
    assert!(!reply.cookies().concat().contains(SESSION), "{reply:?}");
    assert_eq!(browser.jar.keys().collect::<Vec<_>>(), ["own"]);
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn the_app_holds_no_place_while_qq_thinks() {
    let site = Site::new();
    let service = service_fn(async |_: Request<Body>| Ok(Response::new(Body::from("app"))));
    let limited = ConcurrencyLimit::new(service, 1);
    let mut browser = at_service(&site, &forwarding(&site), limited);
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
async fn a_callback_waits_until_the_app_has_a_place_for_it() {
    let site = Site::new();
    let gate = Arc::new(Notify::new());
    let held = gate.clone();
    let service = service_fn(move |request: Request<Body>| {
        let held = held.clone();
        async move {
            if request.uri().path() == "/slow" {
                held.notified().await;
            }
            Ok(Response::new(Body::from("app")))
        }
    });
    let limited = ConcurrencyLimit::new(service, 1);
    let mut browser = at_service(&site, &forwarding(&site), limited);
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let mut other = browser.clone();
    let slow = tokio::spawn(async move { other.get("/slow").await.status });
    let mut login = tokio::spawn(async move { browser.get(&callback).await.body });
    let waited = timeout(Duration::from_secs(60), &mut login).await;
    assert!(waited.is_err(), "it got in although the app was full");
    gate.notify_one();
    assert_eq!(slow.await.unwrap(), StatusCode::OK);
    assert_eq!(login.await.unwrap(), "app");
}

/// Panics when it is called before it said that it is ready. Fails when it is asked more than `most` times.
struct Strict {
    ready: bool,
    asked: Arc<AtomicUsize>,
    most: usize,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            asked: self.asked.clone(),
            most: self.most,
        }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<Body>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<Body>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.ready = self.asked.fetch_add(1, Ordering::Relaxed) < self.most;
        Poll::Ready(self.ready.then_some(()).ok_or("the app is broken"))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called unready");
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn the_app_is_asked_whether_it_is_ready_and_may_fail() {
    for (most, works) in [(2, true), (1, false)] {
        let site = Site::new();
        let mut browser = site.browser();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let (name, value) = browser.jar.first_key_value().unwrap();
        let request = Request::get(callback).header("cookie", format!("{name}={value}"));
        let strict = Strict {
            ready: false,
            asked: Arc::default(),
            most,
        };
        let service = forwarding(&site).layer(strict);
        let reply = service.oneshot(request.body(Body::empty()).unwrap()).await;
        match reply {
            Ok(reply) => assert!(works && reply.status() == StatusCode::OK),
            Err(error) => assert!(!works && error == "the app is broken"),
        }
    }
}

#[tokio::test]
async fn logins_and_tokens_that_an_outer_service_claims_never_reach_the_app() {
    let peek = get(async |request: axum::extract::Request| {
        let has = request.extensions();
        let seen = (
            has.get::<QqUser>().map(|user| user.openid().to_string()),
            has.get::<QqLogin>()
                .map(|login| login.user().openid().to_string()),
            has.get::<QqTokens>().is_some(),
        );
        format!("{seen:?}")
    });
    let pages = |_: &_| Router::new().route("/peek", peek.clone()).route(AT, peek);
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
    let own = &site.qq.people()[0].openid;
    let at_callback = browser.sign_in(&site.qq, "/auth/qq/login").await.body;
    assert_eq!(
        at_callback,
        format!("(Some({own:?}), Some({own:?}), false)")
    );
    let afterwards = browser.get("/peek").await.body;
    assert_eq!(afterwards, format!("(Some({own:?}), None, false)"));
}
