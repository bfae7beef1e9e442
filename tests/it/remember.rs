//! `remember=0`: sessions for shared computers.

use std::time::Duration;

use axum::{Router, extract::Path, routing::get};
use serde_json::{Value, json};
use tower_qq_auth::{QqAuthLayerBuilder, QqClient, QqSession, QqTokens, SessionKeys};

use crate::{
    shown::{self, account, seconds, session},
    site::{self, Browser, Reply, SESSION, Site},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const SHORT: &str = "/auth/qq/login?remember=0";

/// Pages that show the session and write it anew.
fn pages() -> Router {
    let account = async |Path(account): Path<String>, session: QqSession| {
        (session.with_account(account).unwrap(), "changed")
    };
    let tokens = async || (QqTokens::new("NEW", None, None), "changed");
    shown::page()
        .route("/account/{account}", get(account))
        .route("/tokens", get(tokens))
}

fn site_with(configure: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder) -> Site {
    Site::with_pages(|_| pages(), configure)
}

async fn signed_in(site: &Site, login: &str) -> Browser {
    let mut browser = site.browser();
    let end = browser.sign_in(&site.qq, login).await;
    assert_eq!(end.location(), "/");
    browser
}

/// Returns the session cookie that a response sets.
#[track_caller]
fn session_cookie(reply: &Reply) -> String {
    let mut cookies = reply.cookies().into_iter();
    let cookie = cookies.find(|cookie| cookie.starts_with(SESSION));
    cookie.unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

#[tokio::test]
async fn only_a_missing_value_or_1_remembers() {
    let site = site_with(|layer| layer);
    for (query, remembers) in [
        ("", true),
        ("?remember=1", true),
        ("?remember=%31", true),
        ("?remembers=0", true),
        ("?remember=0", false),
        ("?remember=", false),
        ("?remember", false),
        ("?remember=yes", false),
        ("?remember=true", false),
        ("?remember=+1", false),
        ("?remember=01", false),
        ("?remember=%FF", false),
        ("?remember=1&remember=1", false),
        ("?remember=1&%72emember=0", false),
        ("?return_to=/&remember=0", false),
    ] {
        let mut browser = site.browser();
        let login = format!("/auth/qq/login{query}");
        let end = browser.sign_in(&site.qq, &login).await;
        let cookie = session_cookie(&end);
        assert_eq!(cookie.contains("Max-Age=604800"), remembers, "{query}");
        assert_eq!(cookie.contains("Max-Age"), remembers, "{query}");
        assert!(!cookie.contains("Expires"), "{cookie}");
        let lifetime = if remembers { 7 * 24 * HOUR } else { 2 * HOUR };
        let ends = seconds(site.clock.now() + lifetime);
        assert_eq!(session(&mut browser).await["expires_at"], ends, "{query}");
    }
}

#[tokio::test]
async fn a_session_that_is_not_remembered_ends_after_two_hours_without_a_visit() {
    let site = site_with(|layer| layer);
    let mut browser = signed_in(&site, SHORT).await;
    site.clock.advance(2 * HOUR - Duration::from_secs(1));
    assert_ne!(browser.clone().whoami().await, Value::Null);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn it_ends_after_twelve_hours_whatever_writes_it() {
    const OTHER_KEY: &str = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";
    let site = site_with(|layer| layer.keep_tokens());
    let hex: String = site::SESSION_KEY
        .bytes()
        .map(|it| format!("{it:02x}"))
        .collect();
    let with_new_key = {
        let client = QqClient::with_service(site::app(), site.qq.clone());
        let keys = SessionKeys::parse(&format!("{OTHER_KEY},{hex}")).unwrap();
        let clock = site.clock.clone();
        let layer = tower_qq_auth::QqAuthLayer::builder(client, keys).keep_tokens();
        let layer = layer.clock(move || clock.now()).build().unwrap();
        site::pages().merge(pages()).layer(layer)
    };
    let mut browser = signed_in(&site, SHORT).await;
    let first = session(&mut browser).await;
    let end = seconds(site.clock.now() + 12 * HOUR);
    for hour in 1..12 {
        site.clock.advance(HOUR);
        // Over half of the idle time.
        site.clock.advance(Duration::from_secs(1));
        let page = match hour % 4 {
            0 => "/",
            1 => "/account/42",
            2 => "/tokens",
            _ => {
                browser.router = with_new_key.clone();
                "/"
            }
        };
        let cookie = session_cookie(&browser.get(page).await);
        assert!(!cookie.contains("Max-Age"), "{page}: {cookie}");
        let found = session(&mut browser).await;
        assert_eq!(
            (&found["id"], &found["account"]),
            (&first["id"], &json!("42"))
        );
        let idle_end = seconds(site.clock.now() + 2 * HOUR);
        assert_eq!(found["expires_at"], end.min(idle_end), "{page}");
    }
    site.clock.advance(HOUR - 12 * Duration::from_secs(1));
    assert_ne!(browser.whoami().await, Value::Null);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn shorter_limits_of_the_site_hold_for_it_too() {
    let site = site_with(|layer| layer.session_idle(10 * MINUTE).session_lifetime(HOUR));
    let mut browser = signed_in(&site, SHORT).await;
    site.clock.advance(10 * MINUTE);
    assert_eq!(browser.whoami().await, Value::Null, "idle");

    let mut browser = signed_in(&site, SHORT).await;
    for _ in 0..6 {
        assert_ne!(browser.whoami().await, Value::Null);
        site.clock.advance(9 * MINUTE);
    }
    assert_ne!(browser.whoami().await, Value::Null);
    site.clock.advance(6 * MINUTE);
    assert_eq!(browser.whoami().await, Value::Null, "an hour");
}

#[tokio::test]
async fn a_forwarded_callback_and_its_handler_keep_it_short() {
    let handler = async |session: QqSession| (session.with_account("42").unwrap(), "welcome");
    let pages = pages().route("/auth/qq/callback", get(handler));
    let site = Site::with_pages(|_| pages, |layer| layer.forward_callback());
    let mut browser = site.browser();
    let end = browser.sign_in(&site.qq, SHORT).await;
    assert!(!session_cookie(&end).contains("Max-Age"), "{end:?}");
    assert_eq!(account(&mut browser).await, "42");
    site.clock.advance(2 * HOUR);
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_later_login_that_is_remembered_replaces_it() {
    let site = site_with(|layer| layer);
    let mut browser = signed_in(&site, SHORT).await;
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert!(session_cookie(&end).contains("Max-Age=604800"));
    site.clock.advance(24 * HOUR);
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn with_an_intent_beside_it_the_return_to_holds_280_bytes() {
    let handler =
        async |login: tower_qq_auth::QqLogin| format!("{:?} {}", login.intent(), login.return_to());
    let pages = pages().route("/auth/qq/callback", get(handler));
    let site = Site::with_pages(
        |_| pages,
        |layer| layer.forward_callback().cookie_prefix("twelve-bytes"),
    );
    let mut browser = site.browser().header("sec-fetch-site", "same-origin");
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    let intent = "a-word_of_32_characters_01234567";
    let return_to = format!("/{}", "x".repeat(279));
    for order in [
        format!("remember=0&intent={intent}&return_to={return_to}"),
        format!("return_to={return_to}&intent={intent}&remember=0"),
    ] {
        let start = browser.get(&format!("/auth/qq/login?{order}")).await;
        let pair = start.cookies()[0].split(';').next().unwrap();
        assert!(pair.len() + "; ".len() <= 500, "{pair}");
        let callback = site::path(&site.qq.approve(start.location()).unwrap());
        let end = browser.get(&callback).await;
        assert_eq!(end.body, format!("Some({intent:?}) {return_to}"));
        let cookies = end.cookies();
        let cookie = cookies.iter().find(|it| it.contains("_session="));
        assert!(!cookie.unwrap().contains("Max-Age"), "{end:?}");
    }
}

#[tokio::test]
async fn the_button_of_a_failed_login_keeps_the_choice() {
    let site = site_with(|layer| layer);
    for (login, button) in [
        (SHORT, "/auth/qq/login?remember=0"),
        (
            "/auth/qq/login?remember=0&return_to=/me",
            "/auth/qq/login?remember=0&amp;return_to=/me",
        ),
        (
            "/auth/qq/login?return_to=/me",
            "/auth/qq/login?return_to=/me",
        ),
    ] {
        let mut browser = site.browser();
        let callback = browser.callback_from(&site.qq, login).await;
        let (path, query) = callback.split_once('?').unwrap();
        let state = query.split('&').find(|it| it.starts_with("state="));
        let cancelled = format!("{path}?usercancel=1&{}", state.unwrap());
        let page = browser.get(&cancelled).await;
        assert!(page.body.contains(&format!("\"{button}\"")), "{page:?}");
    }
}

#[tokio::test]
async fn a_login_with_an_intent_keeps_the_choice_of_its_session_unless_it_names_another() {
    for (login, is_short) in [
        ("/auth/qq/login?intent=bind", true),
        ("/auth/qq/login?intent=bind&remember=1", false),
        ("/auth/qq/login", false),
    ] {
        let site = site_with(|layer| layer);
        let mut browser = signed_in(&site, SHORT).await;
        browser = browser.header("sec-fetch-site", "same-origin");
        let end = browser.sign_in(&site.qq, login).await;
        let cookie = end.cookies().into_iter().find(|it| it.starts_with(SESSION));
        assert_eq!(!cookie.unwrap().contains("Max-Age"), is_short, "{login}");
    }
}
