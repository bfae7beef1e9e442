//! The size of the session cookie. Proxies accept few bytes of headers.

use std::time::Duration;

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use tower_qq_auth::{OpenId, QqTokens, QqUser, mock::Endpoint};

use crate::{
    phone,
    site::{APP_ID, SESSION, Site},
};

const MAX_SET_COOKIE: usize = 2048;

/// Returns a user with the longest of everything that QQ's replies can bring.
fn longest_user(openid: &str, avatar: usize) -> [(Endpoint, String); 2] {
    let picture = format!("https://q.qlogo.cn/{}", "p".repeat(avatar - 19));
    let me = json!({ "client_id": APP_ID, "openid": openid, "unionid": "U".repeat(128) });
    let profile = json!({ "ret": 0, "nickname": "企".repeat(300), "figureurl_qq_2": picture });
    [
        (Endpoint::Me, me.to_string()),
        (Endpoint::UserInfo, profile.to_string()),
    ]
}

/// Logs in with this access token. Returns the length of the `Set-Cookie` of the session, if there
/// is one, and the user.
async fn log_in(site: &Site, access_token: &str, avatar: usize) -> (Option<usize>, Value) {
    let openid = "O".repeat(128);
    let token = json!({ "access_token": access_token, "expires_in": 7776000, "openid": openid });
    site.qq.reply(Endpoint::Token, token.to_string());
    for (endpoint, reply) in longest_user(&openid, avatar) {
        site.qq.reply(endpoint, reply);
    }
    let mut browser = site.browser();
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    let mut cookies = end.cookies().into_iter();
    let session = cookies.find(|cookie| cookie.contains("_session="));
    (session.map(str::len), browser.whoami().await)
}

#[tokio::test]
async fn the_session_of_a_user_of_today_takes_few_bytes() {
    assert_eq!(size_of_today(Site::new()).await, 285);
    #[cfg(feature = "revocation")]
    {
        let list = tower_qq_auth::revocation::InMemoryRevocations::new();
        let site = Site::with(|app| app, |layer| layer.revocations(list));
        assert_eq!(size_of_today(site).await, 308, "with the user's digest");
    }
}

/// Returns the bytes of `name=value` after a login with a real profile.
async fn size_of_today(site: Site) -> usize {
    let profile = include_str!("../payloads/user-2024-ek.json");
    site.qq.reply(Endpoint::UserInfo, profile);
    let mut browser = site.signed_in().await;
    let user = browser.whoami().await;
    assert_eq!(user["openid"].as_str().map(str::len), Some(32));
    assert_eq!(user["avatar"].as_str().map(str::len), Some(136));
    format!("{SESSION}={}", browser.jar[SESSION]).len()
}

#[tokio::test]
async fn the_longest_user_fits() {
    let prefix = "a".repeat(12);
    for lifetime in [Duration::from_secs(60), Duration::MAX] {
        let site = Site::with(
            |app| app.request_union_id(),
            |layer| {
                layer
                    .cookie_prefix(&prefix)
                    .session_lifetime(lifetime)
                    .session_idle(lifetime)
            },
        );
        let (length, user) = log_in(&site, "TOKEN", 512).await;
        let length = length.expect("a session");
        assert!((1500..=MAX_SET_COOKIE).contains(&length), "{length}");
        assert_eq!(user["openid"], "O".repeat(128));
        assert_eq!(user["unionid"], "U".repeat(128));
        assert_eq!(user["nickname"], "企".repeat(85));
        assert_eq!(user["avatar"].as_str().map(str::len), Some(512));
    }
}

#[tokio::test]
async fn the_longest_user_of_a_phone_app_fits() {
    let app_id = "9".repeat(20);
    let prefix = "a".repeat(12);
    let (site, _) = phone::site_with(
        |app| app.request_union_id().accept_tokens_of([&app_id]),
        |layer| {
            layer
                .cookie_prefix(&prefix)
                .session_lifetime(Duration::MAX)
                .session_idle(Duration::MAX)
        },
    );
    let openid = "O".repeat(128);
    for (endpoint, reply) in longest_user(&openid, 512) {
        site.qq.reply(endpoint, reply.replace(APP_ID, &app_id));
    }
    let mut phone = site.browser().program();
    let reply = phone::log_in_with(&mut phone, "TOKEN").await;
    let length = reply.header("set-cookie").len();
    assert!((1500..=MAX_SET_COOKIE).contains(&length), "{length}");
    let user = phone.whoami().await;
    assert_eq!(
        (&user["app_id"], &user["openid"]),
        (&json!(app_id), &json!(openid))
    );
    assert_eq!(user["avatar"].as_str().map(str::len), Some(512));
}

#[tokio::test]
async fn tokens_take_the_place_of_a_picture_and_fail_the_login_if_they_do_not_fit() {
    let site = Site::with(|app| app.request_union_id(), |layer| layer.keep_tokens());
    // Tokens are read up to 1024 bytes.
    let outcomes = [(32, true, true), (600, true, false), (1000, false, false)];
    for (length, is_signed_in, has_picture) in outcomes {
        let (cookie, user) = log_in(&site, &"A".repeat(length), 512).await;
        assert_eq!(cookie.is_some(), is_signed_in, "{length}");
        assert!(cookie.unwrap_or_default() <= MAX_SET_COOKIE, "{length}");
        assert_eq!(user["avatar"].is_string(), has_picture, "{length}");
        assert_eq!(user.is_object(), is_signed_in, "{length}");
    }
}

#[tokio::test]
async fn refreshed_tokens_take_the_place_of_the_picture() {
    let refresh = get(async |_: QqUser| (QqTokens::new("B".repeat(700), None, None), "fresh"));
    let tokens = get(async |tokens: QqTokens| Json(tokens.access_token().len()));
    let pages = |_: &_| {
        Router::new()
            .route("/refresh", refresh)
            .route("/tokens", tokens)
    };
    let site = Site::with_pages(pages, |layer| layer.keep_tokens());
    let openid = "O".repeat(128);
    for (endpoint, reply) in longest_user(&openid, 512) {
        site.qq.reply(endpoint, reply);
    }
    let token = json!({ "access_token": "A", "expires_in": 7776000 });
    site.qq.reply(Endpoint::Token, token.to_string());
    let mut browser = site.signed_in().await;
    assert!(browser.whoami().await["avatar"].is_string());
    let reply = browser.get("/refresh").await;
    let [cookie] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(cookie.len() <= MAX_SET_COOKIE, "{}", cookie.len());
    assert_eq!(browser.get("/tokens").await.body, "700");
    assert_eq!(browser.whoami().await["avatar"], Value::Null);
}

#[test]
fn session_cookie_fails_if_even_without_the_picture_the_user_does_not_fit() {
    let layer = crate::site::layer(&crate::site::qq());
    let user = QqUser::new(OpenId::new("OPENID").unwrap());
    let issue = |nickname: usize, avatar: usize| {
        let user = user.clone().with_nickname("n".repeat(nickname));
        layer.session_cookie(&user.with_avatar("p".repeat(avatar)), None)
    };
    for (nickname, avatar) in [(0, 0), (0, 4000), (1000, 0), (1000, 4000)] {
        let cookie = issue(nickname, avatar).unwrap();
        assert!(cookie.starts_with(SESSION) && cookie.len() < MAX_SET_COOKIE);
    }
    let error = issue(2000, 0).unwrap_err().to_string();
    assert!(error.contains("more than 2048"), "{error}");
}
