//! `keep_tokens`: QQ's tokens in the session.

use std::time::Duration;

use axum::{
    Extension, Json, Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::{Value, json};
use tower_qq_auth::{
    OpenId, QqAuthLayerBuilder, QqClient, QqLogin, QqSession, QqTokens, QqUser,
    mock::{Endpoint, MockQq},
};

use crate::{
    shown,
    site::{self, Browser, LOGIN, SESSION, Site, pages},
};

mod apps;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn as_json(tokens: &QqTokens) -> Value {
    let left = tokens.expires_in().map(|left| left.as_secs());
    json!([tokens.access_token(), tokens.refresh_token(), left])
}

/// Pages that show the tokens, and one that refreshes them.
fn token_pages(qq: &MockQq) -> Router {
    let client = QqClient::with_service(site::app(), qq.clone());
    let refresh = async move |tokens: QqTokens| -> Response {
        let fresh = client.refresh(&tokens).await.unwrap();
        let body = Json(as_json(&fresh));
        (fresh, body).into_response()
    };
    Router::new()
        .route(
            "/tokens",
            get(async |tokens: QqTokens| Json(as_json(&tokens))),
        )
        .route(
            "/maybe",
            get(async |tokens: Option<QqTokens>| Json(tokens.as_ref().map(as_json))),
        )
        .route("/refresh", get(refresh))
}

fn site_with_tokens() -> Site {
    Site::with_pages(token_pages, QqAuthLayerBuilder::keep_tokens)
}

async fn json_at(browser: &mut Browser, page: &str) -> Value {
    let reply = browser.get(page).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    serde_json::from_str(&reply.body).unwrap()
}

#[tokio::test]
async fn tokens_are_dropped_by_default_and_the_error_page_names_the_setting() {
    let site = Site::with_pages(token_pages, |layer| layer);
    let mut browser = site.signed_in().await;
    assert_eq!(json_at(&mut browser, "/maybe").await, Value::Null);
    let page = browser.get("/tokens").await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(page.body.contains("keep_tokens()"), "{}", page.body);
}

#[tokio::test]
async fn handlers_of_signed_in_users_get_the_tokens_and_the_time_left() {
    let site = site_with_tokens();
    let mut browser = site.browser();
    assert_eq!(json_at(&mut browser, "/maybe").await, Value::Null);
    assert_eq!(
        browser.get("/tokens").await.location(),
        "/auth/qq/login?return_to=/tokens"
    );
    let program = browser.clone().program().get("/tokens").await;
    program.assert_failed(401, "login_required");

    browser.sign_in(&site.qq, "/auth/qq/login").await;
    let first = json_at(&mut browser, "/tokens").await;
    assert!(first[0].as_str().is_some_and(|token| !token.is_empty()));
    assert!(first[1].as_str().is_some_and(|token| !token.is_empty()));
    assert_eq!(first[2], 60 * DAY.as_secs());
    assert_eq!(json_at(&mut browser, "/maybe").await, first);
    assert_eq!(browser.whoami().await["nickname"], "小明");

    site.clock.advance(Duration::from_secs(5));
    assert_eq!(
        json_at(&mut browser, "/tokens").await[2],
        60 * DAY.as_secs() - 5
    );
    site.clock.advance(4 * DAY);
    let renewed = browser.get("/tokens").await;
    assert!(
        renewed.cookies()[0].starts_with(SESSION),
        "the session is renewed"
    );
    site.clock.advance(4 * DAY);
    let later = json!([first[0], first[1], 52 * DAY.as_secs() - 5]);
    assert_eq!(
        json_at(&mut browser, "/tokens").await,
        later,
        "renewal keeps the tokens"
    );

    browser.post("/auth/qq/logout").await;
    assert_eq!(json_at(&mut browser, "/maybe").await, Value::Null);
}

#[tokio::test]
async fn expired_tokens_have_no_time_left_and_unlimited_ones_none_set() {
    for (lifetime, after) in [(r#","expires_in":60"#, json!(0)), ("", Value::Null)] {
        let site = site_with_tokens();
        let openid = &site.qq.people()[0].openid;
        let token = format!(r#"{{"access_token":"A","openid":"{openid}"{lifetime}}}"#);
        site.qq.reply(Endpoint::Token, token);
        let mut browser = site.signed_in().await;
        site.clock.advance(Duration::from_secs(61));
        assert_eq!(
            json_at(&mut browser, "/tokens").await,
            json!(["A", null, after])
        );
    }
}

#[tokio::test]
async fn refreshed_tokens_in_a_response_replace_those_of_the_session() {
    let site = site_with_tokens();
    let mut browser = site.signed_in().await;
    let stale = browser.clone();
    let first = json_at(&mut browser, "/tokens").await;
    site.clock.advance(DAY);
    let reply = browser.get("/refresh").await;
    assert_eq!(reply.header("cache-control"), "no-store");
    let [cookie] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(cookie.starts_with(SESSION));
    let fresh: Value = serde_json::from_str(&reply.body).unwrap();
    assert_ne!((&fresh[0], &fresh[1]), (&first[0], &first[1]));
    assert_eq!(json_at(&mut browser, "/tokens").await, fresh);
    assert_eq!(browser.whoami().await["nickname"], "小明");
    // A refresh token works once, so the second refresh uses the one from the first.
    assert_ne!(json_at(&mut browser, "/refresh").await, fresh);
    assert_eq!(json_at(&mut stale.clone(), "/tokens").await[0], first[0]);

    site.clock.advance(30 * DAY - DAY);
    let expired = browser.get("/tokens").await;
    assert_eq!(
        expired.status,
        StatusCode::SEE_OTHER,
        "new tokens do not start a new session"
    );
}

#[tokio::test]
async fn tokens_in_a_response_are_ignored_without_keep_tokens_or_a_session() {
    let page = get(async || (QqTokens::new("A", None, None), "ok"));
    let site = Site::with_pages(|_| Router::new().route("/new", page.clone()), |layer| layer);
    assert!(
        site.signed_in()
            .await
            .get("/new")
            .await
            .cookies()
            .is_empty()
    );
    let site = Site::with_pages(
        |_| Router::new().route("/new", page),
        QqAuthLayerBuilder::keep_tokens,
    );
    assert!(
        site.browser().get("/new").await.cookies().is_empty(),
        "signed out"
    );
}

#[tokio::test]
async fn tokens_too_large_for_a_cookie_leave_the_old_ones() {
    let page = get(async || (QqTokens::new("A".repeat(4000), None, None), "ok"));
    let pages = |qq: &_| token_pages(qq).route("/new", page);
    let site = Site::with_pages(pages, QqAuthLayerBuilder::keep_tokens);
    let mut browser = site.signed_in().await;
    let before = json_at(&mut browser, "/tokens").await;
    let reply = browser.get("/new").await;
    assert_eq!((reply.status, reply.cookies().len()), (StatusCode::OK, 0));
    assert_eq!(json_at(&mut browser, "/tokens").await, before);
}

#[tokio::test]
async fn tokens_beside_a_session_go_into_it() {
    // A token of this length, and the token that the session has afterwards.
    for (length, expected) in [(32, "A".repeat(32)), (4000, "KEPT".into())] {
        let page = get(async move |session: QqSession| {
            let session = session.with_tokens(QqTokens::new("KEPT", None, None));
            let session = session.unwrap().with_account("42").unwrap();
            (QqTokens::new("A".repeat(length), None, None), session, "ok")
        });
        let pages = |_: &_| shown::page().route("/change", page);
        let site = Site::with_pages(pages, QqAuthLayerBuilder::keep_tokens);
        let mut browser = site.signed_in().await;
        let reply = browser.get("/change").await;
        assert_eq!(reply.cookies().len(), 1, "{reply:?}");
        let found = shown::session(&mut browser).await;
        assert_eq!(
            (&found["account"], &found["access_token"]),
            (&json!("42"), &json!(expected))
        );
    }
}

#[tokio::test]
async fn without_keep_tokens_a_session_is_set_beside_tokens() {
    let page = get(async |session: QqSession| {
        (
            QqTokens::new("A", None, None),
            session.with_account("42").unwrap(),
            "ok",
        )
    });
    let site = Site::with_pages(|_| shown::page().route("/change", page), |layer| layer);
    let mut browser = site.signed_in().await;
    browser.get("/change").await;
    assert_eq!(shown::account(&mut browser).await, "42");
}

#[tokio::test]
async fn turning_keep_tokens_on_signs_users_out_and_off_drops_tokens() {
    let site = site_with_tokens();
    let router = |layer: QqAuthLayerBuilder| {
        let clock = site.clock.clone();
        let layer = layer.clock(move || clock.now()).build().unwrap();
        pages().merge(token_pages(&site.qq)).layer(layer)
    };
    let builder = || site::builder(&site.qq);
    let (on, off) = (router(builder().keep_tokens()), router(builder()));

    let mut before = site.browser();
    before.router = off.clone();
    before.sign_in(&site.qq, "/auth/qq/login").await;
    assert_ne!(before.whoami().await, Value::Null);
    before.router = on.clone();
    assert_eq!(
        before.whoami().await,
        Value::Null,
        "the session has no tokens"
    );

    let mut browser = site.signed_in().await;
    browser.router = off;
    assert_ne!(browser.whoami().await, Value::Null);
    assert_eq!(json_at(&mut browser, "/maybe").await, Value::Null);
    site.clock.advance(4 * DAY);
    assert_ne!(browser.whoami().await, Value::Null);
    browser.router = on;
    assert_eq!(
        browser.whoami().await,
        Value::Null,
        "renewed without tokens"
    );
}

#[tokio::test]
async fn a_session_too_large_for_browsers_is_not_started() {
    let site = site_with_tokens();
    let token = json!({
        "access_token": "canary-a".repeat(128), "refresh_token": "canary-r".repeat(128),
        "expires_in": 7_776_000, "openid": "O".repeat(128),
    });
    // The mock does not know this token, so its profile has to be planted, too.
    let picture = format!("https://thirdqq.qlogo.cn/{}", "a".repeat(512 - 25));
    let profile = json!({
        "ret": 0, "nickname": "n".repeat(256), "figureurl_qq_2": picture,
    });
    site.qq.reply(Endpoint::Token, token.to_string());
    site.qq.reply(Endpoint::UserInfo, profile.to_string());
    let mut browser = site.browser().program();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(424, "misconfigured");
    assert!(!format!("{reply:?}").contains("canary-"));
    let [cleared] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(cleared.starts_with(LOGIN));
    assert_eq!(browser.whoami().await, Value::Null);

    let next = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(next.location(), "/");
}

#[tokio::test]
async fn a_forwarded_callback_gets_the_tokens() {
    let at_callback = get(
        async |tokens: QqTokens, Extension(login): Extension<QqLogin>| {
            Json(tokens == *login.tokens())
        },
    );
    let site = Site::with_pages(
        |_| Router::new().route("/auth/qq/callback", at_callback),
        |layer| layer.forward_callback().keep_tokens(),
    );
    let reply = site.browser().sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, "true"));
}

#[tokio::test]
async fn tokens_refreshed_in_a_forwarded_callback_are_kept() {
    let at_callback = |fresh: QqTokens, status| {
        let page = get(async move |_: QqLogin| (status, fresh.clone(), "welcome"));
        token_pages(&site::qq()).route("/auth/qq/callback", page)
    };
    let site_with = |fresh: &QqTokens, status| {
        let fresh = fresh.clone();
        Site::with_pages(
            move |_| at_callback(fresh, status),
            |layer| layer.forward_callback().keep_tokens(),
        )
    };
    let fresh = QqTokens::new("FRESH", Some("NEXT".into()), Some(DAY));
    let site = site_with(&fresh, StatusCode::OK);
    let mut browser = site.browser();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(reply.cookies().len(), 2, "{reply:?}");
    assert_eq!(json_at(&mut browser, "/tokens").await, as_json(&fresh));

    let site = site_with(&fresh, StatusCode::FORBIDDEN);
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(
        browser.whoami().await,
        Value::Null,
        "an error response starts no session"
    );

    // New tokens that do not fit into the cookie are dropped, but the login counts.
    let large = QqTokens::new("A".repeat(4000), None, None);
    let site = site_with(&large, StatusCode::OK);
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_ne!(browser.whoami().await, Value::Null);
}

#[test]
fn session_cookie_needs_tokens_that_fit_if_tokens_are_kept() {
    let user = QqUser::new(OpenId::new("OPENID").unwrap());
    let tokens = QqTokens::new("A", Some("R".into()), Some(DAY));
    let large = QqTokens::new("A".repeat(4000), None, None);
    let layer = site::layer(&site::qq());
    assert!(layer.session_cookie(&user, None).is_ok());
    assert!(layer.session_cookie(&user, Some(&large)).is_ok(), "dropped");

    let layer = site::builder(&site::qq()).keep_tokens().build().unwrap();
    assert!(layer.session_cookie(&user, Some(&tokens)).is_ok());
    let error = layer.session_cookie(&user, Some(&large)).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("user and tokens are too large"), "{text}");
    let error = layer.session_cookie(&user, None).unwrap_err();
    assert!(
        error.to_string().contains("keep_tokens"),
        "the cookie would not sign in: {error}"
    );
}

#[test]
fn debug_output_hides_the_tokens() {
    let tokens = QqTokens::new("canary-a", Some("canary-r".into()), Some(DAY));
    assert_eq!(
        format!("{tokens:?}"),
        "QqTokens { expires_in: Some(86400s), .. }"
    );
}

#[tokio::test]
async fn tokens_from_a_machine_with_a_slow_clock_keep_the_session() {
    let site = site_with_tokens();
    let mut browser = site.signed_in().await;
    site.clock.turn_back(Duration::from_secs(4 * 60));
    let fresh = json_at(&mut browser, "/refresh").await;
    assert_eq!(json_at(&mut browser, "/tokens").await[0], fresh[0]);
}
