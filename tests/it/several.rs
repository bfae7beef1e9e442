//! Several QQ apps on one site, and `session_cookie` for tests of an app.

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use axum::{Extension, Json, Router, body::Body, routing::get};
use http::{Request, StatusCode};
use serde_json::Value;
use tower::{ServiceExt, service_fn};
use tower_qq_auth::{
    Identity, OpenId, QqApp, QqAuthLayer, QqAuthLayerBuilder, QqClient, QqLogin, QqTokens, QqUser,
    SessionKeys,
    mock::{Endpoint, MockQq, Person},
};

use crate::site::{self, Browser, Site, pages};

/// A QQ app that serves `/a` or `/b`, with its mock of QQ.
#[derive(Clone)]
struct App {
    name: &'static str,
    qq: MockQq,
    layer: QqAuthLayer,
}

impl App {
    /// Apps differ in id, paths and cookies, but share the session keys.
    fn new(name: &'static str, id: &str) -> Self {
        Self::with(name, id, |layer| layer)
    }

    fn with(
        name: &'static str,
        id: &str,
        layer: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
    ) -> Self {
        let callback = format!("https://site.example/{name}/callback");
        let qq = MockQq::new(id, "key", &callback);
        qq.set_people([Person::new(format!("PERSON-{name}"), name)]);
        let app = QqApp::new(id, "key", &callback).unwrap();
        let client = QqClient::with_service(app, qq.clone());
        let builder = QqAuthLayer::builder(client, site::keys())
            .login_path(format!("/{name}/login"))
            .logout_path(format!("/{name}/logout"))
            .cookie_prefix(name);
        let layer = layer(builder).build().unwrap();
        Self { name, qq, layer }
    }

    fn pair() -> [Self; 2] {
        [Self::new("a", "101"), Self::new("b", "102")]
    }

    async fn sign_in(&self, browser: &mut Browser) -> String {
        let login = format!("/{}/login?return_to=/{}/whoami", self.name, self.name);
        let end = browser.sign_in(&self.qq, &login).await;
        end.location().to_owned()
    }

    fn session_name(&self) -> String {
        format!("__Host-{}_session", self.name)
    }
}

/// A browser that visits this router.
fn browser(router: Router) -> Browser {
    Browser {
        router,
        ..Site::new().browser()
    }
}

/// A browser of a site that routes `/a` to the first app and everything else to the second.
fn side_by_side(apps: &[App; 2]) -> Browser {
    let part = |app: &App| {
        let page = get(async |user: Option<QqUser>| Json(user));
        let path = format!("/{}/whoami", app.name);
        Router::new().route(&path, page).layer(app.layer.clone())
    };
    let parts = apps.each_ref().map(part);
    let dispatch = service_fn(move |request: Request<Body>| {
        let [a, b] = parts.clone();
        let part = if request.uri().path().starts_with("/a/") {
            a
        } else {
            b
        };
        async { Ok::<_, Infallible>(part.oneshot(request).await.unwrap()) }
    });
    browser(Router::new().fallback_service(dispatch))
}

async fn openid_at(browser: &mut Browser, page: &str) -> Value {
    let reply = browser.get(page).await;
    serde_json::from_str::<Value>(&reply.body).unwrap()["openid"].take()
}

#[tokio::test]
async fn two_apps_side_by_side_do_not_see_each_others_users() {
    let apps = App::pair();
    let [a, b] = &apps;
    let mut browser = side_by_side(&apps);
    assert_eq!(a.sign_in(&mut browser).await, "/a/whoami");
    assert_eq!(openid_at(&mut browser, "/a/whoami").await, "PERSON-a");
    assert_eq!(openid_at(&mut browser, "/b/whoami").await, Value::Null);
    assert_eq!(b.qq.journal().len(), 0);

    assert_eq!(b.sign_in(&mut browser).await, "/b/whoami");
    assert_eq!(openid_at(&mut browser, "/a/whoami").await, "PERSON-a");
    assert_eq!(openid_at(&mut browser, "/b/whoami").await, "PERSON-b");
    let names: Vec<_> = browser.jar.keys().cloned().collect();
    assert_eq!(names, [a.session_name(), b.session_name()]);

    browser.post("/a/logout").await;
    assert_eq!(openid_at(&mut browser, "/a/whoami").await, Value::Null);
    assert_eq!(openid_at(&mut browser, "/b/whoami").await, "PERSON-b");
}

#[tokio::test]
async fn an_app_ignores_renamed_cookies_of_another_app() {
    let apps = App::pair();
    let [a, b] = &apps;
    let mut browser = side_by_side(&apps);
    a.sign_in(&mut browser).await;
    let session = browser.jar[&a.session_name()].clone();
    browser.jar.insert(b.session_name(), session);
    assert_eq!(openid_at(&mut browser, "/b/whoami").await, Value::Null);

    // The same for a pending login.
    let mut browser = side_by_side(&apps);
    let callback = browser.callback_from(&a.qq, "/a/login").await;
    let (name, value) = browser.jar.pop_first().unwrap();
    browser
        .jar
        .insert(name.replace("__Host-a", "__Host-b"), value);
    let mut browser = browser.program();
    let reply = browser.get(&callback.replace("/a/", "/b/")).await;
    assert_eq!(reply.problem()["code"], "invalid_state");
    assert_eq!(b.qq.calls(Endpoint::Token), 0);
}

#[tokio::test]
async fn pending_logins_of_one_app_do_not_evict_those_of_another() {
    let apps = App::pair();
    let mut browser = side_by_side(&apps);
    let callback = browser.callback_from(&apps[0].qq, "/a/login").await;
    for _ in 0..9 {
        browser.get("/b/login").await;
    }
    assert_eq!(browser.jar.len(), 1 + 8);
    assert_eq!(browser.get(&callback).await.location(), "/");
}

#[tokio::test]
async fn stacked_apps_serve_their_own_paths_and_the_inner_one_sets_the_user() {
    let apps = App::pair();
    let [a, b] = &apps;
    let router = pages().layer(a.layer.clone()).layer(b.layer.clone());
    let mut browser = browser(router);
    b.sign_in(&mut browser).await;
    assert_eq!(openid_at(&mut browser, "/whoami").await, Value::Null);
    assert_eq!(
        browser.get("/me").await.location(),
        "/a/login?return_to=/me"
    );
    a.sign_in(&mut browser).await;
    assert_eq!(openid_at(&mut browser, "/whoami").await, "PERSON-a");
    browser.post("/a/logout").await;
    assert_eq!(openid_at(&mut browser, "/whoami").await, Value::Null);
    let names: Vec<_> = browser.jar.keys().cloned().collect();
    assert_eq!(names, [b.session_name()], "the other session is untouched");
}

#[tokio::test]
async fn a_forwarded_callback_sees_only_the_login_of_its_own_app() {
    let a = App::with("a", "101", |layer| layer.forward_callback());
    let b = App::new("b", "102");
    let page = get(async |user: QqUser, Extension(login): Extension<QqLogin>| {
        format!("{} {}", user.openid(), login.user().openid())
    });
    let pages = Router::new()
        .route("/a/callback", page.clone())
        .route("/b/callback", page);
    let mut browser = browser(pages.layer(a.layer.clone()).layer(b.layer.clone()));
    b.sign_in(&mut browser).await;
    let reply = browser.sign_in(&a.qq, "/a/login").await;
    assert_eq!(reply.body, "PERSON-a PERSON-a");
}

#[test]
fn a_cookie_prefix_is_1_to_32_lower_case_letters_digits_and_hyphens() {
    let build = |prefix: &str| site::builder(&site::qq()).cookie_prefix(prefix).build();
    let long = "a".repeat(33);
    for prefix in [
        "", "A", "a_b", "a b", "a=b", "a;b", "a.b", "中", "a\r\n", &long,
    ] {
        let error = build(prefix).unwrap_err().to_string();
        assert!(error.starts_with("cookie prefix "), "{prefix:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{prefix:?}: {error}");
    }
    for prefix in ["a", "qq-2", "-", "0", &long[1..]] {
        assert!(build(prefix).is_ok(), "{prefix:?}");
    }
}

#[tokio::test]
async fn the_last_cookie_prefix_wins() {
    let site = Site::with(
        |app| app,
        |layer| layer.cookie_prefix("x").cookie_prefix("club"),
    );
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let pending = browser.jar.keys().next().unwrap();
    assert!(pending.starts_with("__Host-club_login_"), "{pending}");
    browser.get(&callback).await;
    assert_eq!(
        browser.jar.keys().collect::<Vec<_>>(),
        ["__Host-club_session"]
    );
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_handler_can_be_tested_with_a_session_cookie() {
    let layer = site::layer(&site::qq());
    let user = QqUser::new(OpenId::new("OPENID").unwrap()).with_nickname("小明");

    let cookie = layer.session_cookie(&user, None).unwrap();
    let request = Request::get("/")
        .header("cookie", cookie)
        .body(Body::empty())
        .unwrap();
    let response = pages().layer(layer).oneshot(request).await.unwrap();

    let body = axum::body::to_bytes(response.into_body(), 1024)
        .await
        .unwrap();
    assert_eq!(body, "小明");
}

#[tokio::test]
async fn a_session_cookie_works_like_a_real_session() {
    let identity = Identity::new(site::APP_ID, &OpenId::new("OPENID").unwrap()).unwrap();
    let user = QqUser::new(identity).with_avatar("https://a.example/1");
    let qq = site::qq();
    let whoami = async |layer: QqAuthLayer, cookie: &str| {
        let mut browser = browser(pages().layer(layer)).header("cookie", cookie);
        browser.whoami().await
    };
    let layer = || site::layer(&qq);
    let cookie = layer().session_cookie(&user, None).unwrap();
    assert!(cookie.starts_with("__Host-qq_session=") && !cookie.contains(';'));
    let seen = whoami(layer(), &cookie).await;
    assert_eq!(seen, serde_json::to_value(&user).unwrap());
    assert_ne!(
        cookie,
        layer().session_cookie(&user, None).unwrap(),
        "every call starts a new session"
    );

    let client = QqClient::with_service(site::app(), qq.clone());
    let others = [
        (
            "keys",
            QqAuthLayer::builder(client, SessionKeys::generate()),
        ),
        ("prefix", site::builder(&qq).cookie_prefix("b")),
    ];
    for (difference, other) in others {
        let other = other.build().unwrap();
        let forged = other.session_cookie(&user, None).unwrap();
        assert_eq!(whoami(layer(), &forged).await, Value::Null, "{difference}");
        let value = forged.split_once('=').unwrap().1;
        let renamed = format!("__Host-qq_session={value}");
        assert_eq!(whoami(layer(), &renamed).await, Value::Null, "{difference}");
    }
    let mut flipped = cookie.clone().into_bytes();
    *flipped.last_mut().unwrap() ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    assert_eq!(whoami(layer(), &flipped).await, Value::Null);
    let eight_days = Duration::from_secs(8 * 24 * 60 * 60);
    let late = site::builder(&qq).clock(move || SystemTime::now() + eight_days);
    assert_eq!(
        whoami(late.build().unwrap(), &cookie).await,
        Value::Null,
        "the session expires"
    );
}

#[tokio::test]
async fn a_session_cookie_can_carry_tokens_for_the_handler() {
    let page = get(async |tokens: QqTokens| tokens.access_token().to_owned());
    let layer = site::builder(&site::qq()).keep_tokens().build().unwrap();
    let user = QqUser::new(OpenId::new("OPENID").unwrap());
    let tokens = QqTokens::new("A", None, None);
    let cookie = layer.session_cookie(&user, Some(&tokens)).unwrap();
    let router = Router::new().route("/tokens", page).layer(layer);
    let mut browser = browser(router).header("cookie", &cookie);
    let reply = browser.get("/tokens").await;
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, "A"));
}
