//! `keep_tokens`: QQ's tokens in the session, or nowhere.

use std::time::Duration;

use axum::{
    Extension, Json, Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde_json::{Value, json};
use tower_qq_auth::{
    LoginError, OpenId, QqAuthLayer, QqClient, QqLogin, QqTokens, QqUser,
    mock::{Endpoint, MockQq},
};

use crate::site::{self, Browser, LOGIN, SESSION, Site, keys, pages};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn told(tokens: &QqTokens) -> Value {
    let left = tokens.expires_in().map(|left| left.as_secs());
    json!([tokens.access_token(), tokens.refresh_token(), left])
}

/// Pages that tell the tokens, and one that exchanges them for new ones.
fn token_pages(qq: &MockQq) -> Router {
    let client = QqClient::with_service(site::app(), qq.clone());
    let refresh = async move |tokens: QqTokens| -> Response {
        let fresh = client.refresh(tokens.refresh_token().unwrap()).await;
        let fresh = fresh
            .map_err(|error: LoginError| error.to_string())
            .unwrap();
        let told = Json(told(&fresh));
        (fresh, told).into_response()
    };
    Router::new()
        .route("/tokens", get(async |tokens: QqTokens| Json(told(&tokens))))
        .route(
            "/maybe",
            get(async |tokens: Option<QqTokens>| Json(tokens.as_ref().map(told))),
        )
        .route("/refresh", get(refresh))
}

fn keeping() -> Site {
    Site::with_pages(token_pages, QqAuthLayer::keep_tokens)
}

async fn ask(browser: &mut Browser, page: &str) -> Value {
    let reply = browser.get(page).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    serde_json::from_str(&reply.body).unwrap()
}

#[tokio::test]
async fn tokens_are_dropped_unless_they_are_asked_for_and_the_page_says_so() {
    let site = Site::with_pages(token_pages, |layer| layer);
    let mut browser = site.signed_in().await;
    assert_eq!(ask(&mut browser, "/maybe").await, Value::Null);
    let page = browser.get("/tokens").await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(page.body.contains("keep_tokens()"), "{}", page.body);
}

#[tokio::test]
async fn kept_tokens_are_there_for_who_is_signed_in_and_count_down() {
    let site = keeping();
    let mut browser = site.browser();
    assert_eq!(ask(&mut browser, "/maybe").await, Value::Null);
    assert_eq!(
        browser.get("/tokens").await.location(),
        "/auth/qq/login?return_to=/tokens"
    );
    let program = browser.clone().program().get("/tokens").await;
    program.assert_failed(401, "login_required");

    browser.sign_in(&site.qq, "/auth/qq/login").await;
    let first = ask(&mut browser, "/tokens").await;
    assert!(first[0].as_str().is_some_and(|token| !token.is_empty()));
    assert!(first[1].as_str().is_some_and(|token| !token.is_empty()));
    assert_eq!(first[2], 60 * DAY.as_secs());
    assert_eq!(ask(&mut browser, "/maybe").await, first);
    assert_eq!(browser.whoami().await["nickname"], "小明");

    site.clock.advance(Duration::from_secs(5));
    assert_eq!(
        ask(&mut browser, "/tokens").await[2],
        60 * DAY.as_secs() - 5
    );
    site.clock.advance(4 * DAY);
    let renewed = browser.get("/tokens").await;
    assert!(renewed.cookies()[0].starts_with(SESSION), "a new idle time");
    site.clock.advance(4 * DAY);
    let later = json!([first[0], first[1], 52 * DAY.as_secs() - 5]);
    assert_eq!(
        ask(&mut browser, "/tokens").await,
        later,
        "renewal keeps them"
    );

    browser.post("/auth/qq/logout").await;
    assert_eq!(ask(&mut browser, "/maybe").await, Value::Null);
}

#[tokio::test]
async fn tokens_that_are_over_or_never_end_are_told_as_such() {
    for (lifetime, after) in [(r#","expires_in":60"#, json!(0)), ("", Value::Null)] {
        let site = keeping();
        let openid = &site.qq.people()[0].openid;
        let token = format!(r#"{{"access_token":"A","openid":"{openid}"{lifetime}}}"#);
        site.qq.reply(Endpoint::Token, token);
        let mut browser = site.signed_in().await;
        site.clock.advance(Duration::from_secs(61));
        assert_eq!(
            ask(&mut browser, "/tokens").await,
            json!(["A", null, after])
        );
    }
}

#[tokio::test]
async fn refreshed_tokens_take_the_place_of_the_kept_ones() {
    let site = keeping();
    let mut browser = site.signed_in().await;
    let stale = browser.clone();
    let first = ask(&mut browser, "/tokens").await;
    site.clock.advance(DAY);
    let reply = browser.get("/refresh").await;
    assert_eq!(reply.header("cache-control"), "no-store");
    let [cookie] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(cookie.starts_with(SESSION));
    let fresh: Value = serde_json::from_str(&reply.body).unwrap();
    assert_ne!((&fresh[0], &fresh[1]), (&first[0], &first[1]));
    assert_eq!(ask(&mut browser, "/tokens").await, fresh);
    assert_eq!(browser.whoami().await["nickname"], "小明");
    // Each is good for one use: the second exchange takes what the first one brought.
    assert_ne!(ask(&mut browser, "/refresh").await, fresh);
    assert_eq!(ask(&mut stale.clone(), "/tokens").await[0], first[0]);

    site.clock.advance(30 * DAY - DAY);
    let over = browser.get("/tokens").await;
    assert_eq!(
        over.status,
        StatusCode::SEE_OTHER,
        "new tokens are no new session"
    );
}

#[tokio::test]
async fn new_tokens_of_an_app_that_keeps_none_go_nowhere() {
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
        QqAuthLayer::keep_tokens,
    );
    assert!(
        site.browser().get("/new").await.cookies().is_empty(),
        "nobody's"
    );
}

#[tokio::test]
async fn new_tokens_that_fit_no_cookie_leave_the_old_ones() {
    let page = get(async || (QqTokens::new("A".repeat(4000), None, None), "ok"));
    let pages = |qq: &_| token_pages(qq).route("/new", page);
    let site = Site::with_pages(pages, QqAuthLayer::keep_tokens);
    let mut browser = site.signed_in().await;
    let before = ask(&mut browser, "/tokens").await;
    let reply = browser.get("/new").await;
    assert_eq!((reply.status, reply.cookies().len()), (StatusCode::OK, 0));
    assert_eq!(ask(&mut browser, "/tokens").await, before);
}

#[tokio::test]
async fn switching_it_on_signs_out_and_switching_it_off_drops_them() {
    let site = keeping();
    let with = |layer: QqAuthLayer| {
        let clock = site.clock.clone();
        let layer = layer.clock(move || clock.now());
        pages().merge(token_pages(&site.qq)).layer(layer)
    };
    let layer = || QqAuthLayer::with_client(client(&site.qq), keys());
    let (on, off) = (with(layer().keep_tokens()), with(layer()));

    let mut before = site.browser();
    before.router = off.clone();
    before.sign_in(&site.qq, "/auth/qq/login").await;
    assert_ne!(before.whoami().await, Value::Null);
    before.router = on.clone();
    assert_eq!(before.whoami().await, Value::Null, "a login brings tokens");

    let mut browser = site.signed_in().await;
    browser.router = off;
    assert_ne!(browser.whoami().await, Value::Null);
    assert_eq!(ask(&mut browser, "/maybe").await, Value::Null);
    site.clock.advance(4 * DAY);
    assert_ne!(browser.whoami().await, Value::Null);
    browser.router = on;
    assert_eq!(browser.whoami().await, Value::Null, "renewed without them");
}

fn client(qq: &MockQq) -> QqClient {
    QqClient::with_service(site::app(), qq.clone())
}

#[tokio::test]
async fn a_session_that_browsers_would_drop_is_not_begun() {
    let site = keeping();
    let mut people = site.qq.people();
    people[0].avatar_100 = format!("https://thirdqq.qlogo.cn/{}", "a".repeat(990));
    site.qq.set_people(people);
    let token = json!({
        "access_token": "canary-a".repeat(128), "refresh_token": "canary-r".repeat(128),
        "expires_in": 7_776_000, "openid": site.qq.people()[0].openid,
    });
    // The mock knows no such token: the picture is planted as well.
    let picture = &site.qq.people()[0].avatar_100;
    let profile = json!({ "ret": 0, "nickname": "小明", "figureurl_qq_2": picture });
    site.qq.reply(Endpoint::Token, token.to_string());
    site.qq.reply(Endpoint::UserInfo, profile.to_string());
    let mut browser = site.browser().program();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    reply.assert_failed(502, "misconfigured");
    assert!(!format!("{reply:?}").contains("canary-"));
    let [consumed] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(consumed.starts_with(LOGIN));
    assert_eq!(browser.whoami().await, Value::Null);

    let next = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(next.location(), "/");
}

#[tokio::test]
async fn the_callback_of_the_app_has_them_too() {
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
async fn tokens_that_are_exchanged_at_the_callback_are_those_that_the_session_keeps() {
    let at_callback = |fresh: QqTokens, status| {
        let page = get(async move |_: QqLogin| (status, fresh.clone(), "welcome"));
        token_pages(&site::qq()).route("/auth/qq/callback", page)
    };
    let with = |fresh: &QqTokens, status| {
        let fresh = fresh.clone();
        Site::with_pages(
            move |_| at_callback(fresh, status),
            |layer| layer.forward_callback().keep_tokens(),
        )
    };
    let fresh = QqTokens::new("FRESH", Some("NEXT".into()), Some(DAY));
    let site = with(&fresh, StatusCode::OK);
    let mut browser = site.browser();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(reply.cookies().len(), 2, "{reply:?}");
    assert_eq!(ask(&mut browser, "/tokens").await, told(&fresh));

    let site = with(&fresh, StatusCode::FORBIDDEN);
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(
        browser.whoami().await,
        Value::Null,
        "an error lets nobody in"
    );

    // Those of the login are used up, but the person is known.
    let large = QqTokens::new("A".repeat(4000), None, None);
    let site = with(&large, StatusCode::OK);
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_ne!(browser.whoami().await, Value::Null);
}

#[test]
fn a_made_up_session_has_tokens_where_they_are_kept() {
    let user = QqUser::new(OpenId::new("SOMEBODY").unwrap());
    let tokens = QqTokens::new("A", Some("R".into()), Some(DAY));
    let large = QqTokens::new("A".repeat(4000), None, None);
    let layer = QqAuthLayer::with_client(client(&site::qq()), keys());
    assert!(layer.session_cookie(&user, None).is_ok());
    assert!(layer.session_cookie(&user, Some(&large)).is_ok(), "dropped");
    let layer = layer.keep_tokens();
    assert!(layer.session_cookie(&user, Some(&tokens)).is_ok());
    let error = layer.session_cookie(&user, Some(&large)).unwrap_err();
    assert_eq!(error.setting(), "session cookie");
    let error = layer.session_cookie(&user, None).unwrap_err();
    assert!(
        error.to_string().contains("keep_tokens"),
        "nobody would be signed in by it: {error}"
    );
}

#[test]
fn their_debug_output_hides_them() {
    let tokens = QqTokens::new("canary-a", Some("canary-r".into()), Some(DAY));
    assert_eq!(
        format!("{tokens:?}"),
        "QqTokens { expires_in: Some(86400s), .. }"
    );
}

#[tokio::test]
async fn new_tokens_from_a_machine_whose_clock_is_behind_end_no_session() {
    let site = keeping();
    let mut browser = site.signed_in().await;
    site.clock.turn_back(Duration::from_secs(4 * 60));
    let fresh = ask(&mut browser, "/refresh").await;
    assert_eq!(ask(&mut browser, "/tokens").await[0], fresh[0]);
}
