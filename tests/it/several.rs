//! Several QQ apps on one site, and sessions made up for an app's own tests.

use std::convert::Infallible;

use axum::{Extension, Json, Router, body::Body, routing::get};
use http::{Request, StatusCode};
use serde_json::Value;
use tower::{ServiceExt, service_fn};
use tower_qq_auth::{
    OpenId, QqApp, QqAuthLayer, QqClient, QqLogin, QqTokens, QqUser, SessionKeys,
    mock::{Endpoint, MockQq, Person},
};

use crate::site::{self, Browser, Site, pages};

/// One QQ app of the site below `/a` or `/b`, and the QQ that knows it.
#[derive(Clone)]
struct App {
    name: &'static str,
    qq: MockQq,
    layer: QqAuthLayer,
}

impl App {
    /// The second of two apps has another id, paths and cookies; the keys are the same.
    fn new(name: &'static str, id: &str) -> Self {
        let callback = format!("https://site.example/{name}/callback");
        let qq = MockQq::new(id, "key", &callback);
        qq.set_people([Person::new(format!("PERSON-{name}"), name)]);
        let app = QqApp::new(id, "key", &callback).unwrap();
        let client = QqClient::with_service(app, qq.clone());
        let layer = QqAuthLayer::with_client(client, site::keys())
            .login_path(format!("/{name}/login"))
            .and_then(|layer| layer.logout_path(format!("/{name}/logout")))
            .and_then(|layer| layer.cookie_prefix(name))
            .unwrap();
        Self { name, qq, layer }
    }

    fn both() -> [Self; 2] {
        [Self::new("a", "101"), Self::new("b", "102")]
    }

    async fn sign_in(&self, browser: &mut Browser) -> String {
        let login = format!("/{}/login?return_to=/{}/whoami", self.name, self.name);
        let end = browser.sign_in(&self.qq, &login).await;
        end.location().to_owned()
    }

    fn session(&self) -> String {
        format!("__Host-{}_session", self.name)
    }
}

/// A browser at this router.
fn browser(router: Router) -> Browser {
    Browser {
        router,
        ..Site::new().browser()
    }
}

/// The part of the site below `/a` goes to one app and that below `/b` to the other.
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

async fn openid(browser: &mut Browser, page: &str) -> Value {
    let reply = browser.get(page).await;
    serde_json::from_str::<Value>(&reply.body).unwrap()["openid"].take()
}

#[tokio::test]
async fn two_apps_side_by_side_do_not_see_each_others_users() {
    let apps = App::both();
    let [a, b] = &apps;
    let mut browser = side_by_side(&apps);
    assert_eq!(a.sign_in(&mut browser).await, "/a/whoami");
    assert_eq!(openid(&mut browser, "/a/whoami").await, "PERSON-a");
    assert_eq!(openid(&mut browser, "/b/whoami").await, Value::Null);
    assert_eq!(b.qq.journal().len(), 0);

    assert_eq!(b.sign_in(&mut browser).await, "/b/whoami");
    assert_eq!(openid(&mut browser, "/a/whoami").await, "PERSON-a");
    assert_eq!(openid(&mut browser, "/b/whoami").await, "PERSON-b");
    let names: Vec<_> = browser.jar.keys().cloned().collect();
    assert_eq!(names, [a.session(), b.session()]);

    browser.post("/a/logout").await;
    assert_eq!(openid(&mut browser, "/a/whoami").await, Value::Null);
    assert_eq!(openid(&mut browser, "/b/whoami").await, "PERSON-b");
}

#[tokio::test]
async fn cookies_of_one_app_are_nothing_to_the_other_even_under_its_names() {
    let apps = App::both();
    let [a, b] = &apps;
    let mut browser = side_by_side(&apps);
    a.sign_in(&mut browser).await;
    let session = browser.jar[&a.session()].clone();
    browser.jar.insert(b.session(), session);
    assert_eq!(openid(&mut browser, "/b/whoami").await, Value::Null);

    // The login under way of one, brought back to the other, with all names changed.
    let mut browser = side_by_side(&apps);
    let at_a = browser.callback_from(&a.qq, "/a/login").await;
    let (name, value) = browser.jar.pop_first().unwrap();
    browser
        .jar
        .insert(name.replace("__Host-a", "__Host-b"), value);
    let mut browser = browser.program();
    let reply = browser.get(&at_a.replace("/a/", "/b/")).await;
    assert_eq!(reply.problem()["code"], "invalid_state");
    assert_eq!(b.qq.calls(Endpoint::Token), 0);
}

#[tokio::test]
async fn logins_under_way_at_one_app_push_out_none_of_the_other() {
    let apps = App::both();
    let mut browser = side_by_side(&apps);
    let callback = browser.callback_from(&apps[0].qq, "/a/login").await;
    for _ in 0..9 {
        browser.get("/b/login").await;
    }
    assert_eq!(browser.jar.len(), 1 + 4);
    assert_eq!(browser.get(&callback).await.location(), "/");
}

#[tokio::test]
async fn stacked_apps_answer_their_own_paths_and_the_inner_one_says_who_it_is() {
    let apps = App::both();
    let [a, b] = &apps;
    let router = pages().layer(a.layer.clone()).layer(b.layer.clone());
    let mut browser = browser(router);
    b.sign_in(&mut browser).await;
    assert_eq!(openid(&mut browser, "/whoami").await, Value::Null);
    assert_eq!(
        browser.get("/me").await.location(),
        "/a/login?return_to=/me"
    );
    a.sign_in(&mut browser).await;
    assert_eq!(openid(&mut browser, "/whoami").await, "PERSON-a");
    browser.post("/a/logout").await;
    assert_eq!(openid(&mut browser, "/whoami").await, Value::Null);
    let names: Vec<_> = browser.jar.keys().cloned().collect();
    assert_eq!(names, [b.session()], "the other session goes on");
}

#[tokio::test]
async fn the_login_of_one_app_never_reaches_the_callback_of_the_other() {
    let [a, b] = App::both();
    let told = get(async |user: QqUser, Extension(login): Extension<QqLogin>| {
        format!("{} {}", user.openid(), login.user().openid())
    });
    let pages = Router::new()
        .route("/a/callback", told.clone())
        .route("/b/callback", told);
    let inner = a.layer.clone().forward_callback();
    let mut browser = browser(pages.layer(inner).layer(b.layer.clone()));
    b.sign_in(&mut browser).await;
    let reply = browser.sign_in(&a.qq, "/a/login").await;
    assert_eq!(reply.body, "PERSON-a PERSON-a");
}

#[test]
fn a_prefix_is_a_short_word() {
    let layer = || site::layer(&site::qq());
    let long = "a".repeat(33);
    for prefix in [
        "", "A", "a_b", "a b", "a=b", "a;b", "a.b", "中", "a\r\n", &long,
    ] {
        let error = layer().cookie_prefix(prefix).unwrap_err();
        assert_eq!(error.setting(), "cookie prefix", "{prefix:?}");
    }
    for prefix in ["a", "qq-2", "-", "0", &long[1..]] {
        assert!(layer().cookie_prefix(prefix).is_ok(), "{prefix:?}");
    }
}

#[tokio::test]
async fn the_prefix_may_be_set_before_or_after_anything_else() {
    let site = Site::with(
        |app| app,
        |layer| {
            layer
                .cookie_prefix("x")
                .and_then(|layer| layer.cookie_prefix("own"))
                .unwrap()
        },
    );
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let pending = browser.jar.keys().next().unwrap();
    assert!(pending.starts_with("__Host-own_login_"), "{pending}");
    browser.get(&callback).await;
    assert_eq!(
        browser.jar.keys().collect::<Vec<_>>(),
        ["__Host-own_session"]
    );
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_handler_of_the_app_is_tested_in_three_lines() {
    let layer = site::layer(&site::qq());
    let user = QqUser::new(OpenId::new("SOMEBODY").unwrap()).with_nickname("小明");

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
async fn a_made_up_session_is_one_like_any_other() {
    let user = QqUser::new(OpenId::new("SOMEBODY").unwrap()).with_avatar("https://a.example/1");
    let own = Site::new();
    let seen_by = async |layer: QqAuthLayer, cookie: &str| {
        let mut browser = browser(pages().layer(layer)).header("cookie", cookie);
        browser.whoami().await
    };
    let layer = || site::layer(&own.qq);
    let cookie = layer().session_cookie(&user, None).unwrap();
    assert!(cookie.starts_with("__Host-qq_session=") && !cookie.contains(';'));
    let seen = seen_by(layer(), &cookie).await;
    assert_eq!(seen, serde_json::to_value(&user).unwrap());
    assert_ne!(
        cookie,
        layer().session_cookie(&user, None).unwrap(),
        "each its own"
    );

    let client = QqClient::with_service(site::app(), own.qq.clone());
    let others = [
        (
            "keys",
            QqAuthLayer::with_client(client, SessionKeys::generate()),
        ),
        ("prefix", layer().cookie_prefix("b").unwrap()),
    ];
    for (what, other) in others {
        let forged = other.session_cookie(&user, None).unwrap();
        assert_eq!(seen_by(layer(), &forged).await, Value::Null, "{what}");
        let value = forged.split_once('=').unwrap().1;
        let renamed = format!("__Host-qq_session={value}");
        assert_eq!(seen_by(layer(), &renamed).await, Value::Null, "{what}");
    }
    let mut flipped = cookie.clone().into_bytes();
    *flipped.last_mut().unwrap() ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    assert_eq!(seen_by(layer(), &flipped).await, Value::Null);
    let late =
        layer().clock(|| std::time::SystemTime::now() + std::time::Duration::from_secs(8 * 86_400));
    assert_eq!(
        seen_by(late, &cookie).await,
        Value::Null,
        "it ends as any other"
    );
}

#[tokio::test]
async fn a_made_up_session_has_the_tokens_that_a_handler_asks_for() {
    let page = get(async |tokens: QqTokens| tokens.access_token().to_owned());
    let layer = site::layer(&site::qq()).keep_tokens();
    let user = QqUser::new(OpenId::new("SOMEBODY").unwrap());
    let tokens = QqTokens::new("A", None, None);
    let cookie = layer.session_cookie(&user, Some(&tokens)).unwrap();
    let router = Router::new().route("/tokens", page).layer(layer);
    let mut browser = browser(router).header("cookie", &cookie);
    let reply = browser.get("/tokens").await;
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, "A"));
}
