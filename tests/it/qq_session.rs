//! `QqSession` as handlers read and change it.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, RawQuery},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tower_qq_auth::{
    OpenId, QqClient, QqSession, QqTokens, QqUser, SessionKeys, SignOut, UnionId, Verdict,
    session::{SessionError, SessionId},
};

use crate::{
    shown::{self, account, seconds, session},
    site::{self, Browser, Reply, SESSION, Site},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Answers with the changed session, or with the error as text.
fn respond(changed: Result<QqSession, SessionError>) -> Response {
    match changed {
        Ok(session) => (session, "changed").into_response(),
        Err(error) => error.to_string().into_response(),
    }
}

/// Pages that show the session and change it.
fn pages() -> Router {
    let account = async |RawQuery(account): RawQuery, session: QqSession| {
        respond(session.with_account(account.unwrap_or_default()))
    };
    let profile = async |Path(nickname): Path<String>, session: QqSession| {
        let user = session.user().clone().with_nickname(nickname);
        respond(session.with_user(user.with_avatar("https://q.qlogo.cn/new")))
    };
    let tokens = async |Path(token): Path<String>, session: QqSession| {
        respond(session.with_tokens(QqTokens::new(token, None, None)))
    };
    shown::page()
        .route("/account", get(account))
        .route("/nickname/{nickname}", get(profile))
        .route("/token/{token}", get(tokens))
}

fn site() -> Site {
    Site::with_pages(|_| pages(), |layer| layer)
}

fn site_with_tokens() -> Site {
    Site::with_pages(|_| pages(), |layer| layer.keep_tokens())
}

/// Changes the session, and fails unless that sets exactly the session cookie.
async fn change(browser: &mut Browser, page: &str) -> Reply {
    let reply = browser.get(page).await;
    assert_eq!(reply.body, "changed", "{page}");
    let [cookie] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(cookie.starts_with(SESSION) && cookie.len() <= 2048);
    assert_eq!(reply.header("cache-control"), "no-store");
    reply
}

#[tokio::test]
async fn a_handler_reads_the_session_and_its_times() {
    let site = site_with_tokens();
    let mut browser = site.signed_in().await;
    let started = seconds(site.clock.now());
    let first = session(&mut browser).await;
    assert_eq!(first["user"], browser.whoami().await);
    assert_eq!(first["account"], Value::Null);
    assert!(first["access_token"].is_string());
    assert_eq!(first["started_at"], started);
    assert_eq!(first["expires_at"], started + 7 * DAY.as_secs());
    assert_ne!(
        first["id"],
        session(&mut site.signed_in().await).await["id"]
    );

    for _ in 0..7 {
        site.clock.advance(4 * DAY);
        assert_eq!(browser.get("/").await.cookies().len(), 1, "renewed");
    }
    let last = session(&mut browser).await;
    assert_eq!(last["id"], first["id"]);
    assert_eq!(last["started_at"], started);
    assert_eq!(last["expires_at"], started + 30 * DAY.as_secs());
}

#[tokio::test]
async fn signed_out_the_argument_is_a_login_and_the_optional_one_is_none() {
    let page = get(async |_: QqSession| "signed in");
    let site = Site::with_pages(|_| pages().route("/mine", page), |layer| layer);
    assert_eq!(session(&mut site.browser()).await, Value::Null);
    let mut browser = site.browser();
    let location = "/auth/qq/login?return_to=/mine";
    assert_eq!(browser.get("/mine").await.location(), location);
    let program = browser.program().get("/mine").await;
    program.assert_failed(401, "login_required");
}

#[tokio::test]
async fn an_account_has_1_to_256_bytes() {
    let chinese = "%E4%BC%81".repeat(85) + "x";
    let text = "企".repeat(85) + "x";
    let cases = [
        (String::new(), Err(0)),
        ("a".into(), Ok("a".into())),
        ("a".repeat(256), Ok("a".repeat(256))),
        ("a".repeat(257), Err(257)),
        (chinese.clone(), Ok(text.clone())),
        (chinese + "x", Err(257)),
    ];
    for (given, expected) in cases {
        // Decoded, as a form would be.
        let decode = async |RawQuery(given): RawQuery, session: QqSession| {
            let given = given.unwrap_or_default();
            let given = percent_encoding::percent_decode_str(&given).decode_utf8();
            respond(session.with_account(given.unwrap()))
        };
        let pages = |_: &_| shown::page().route("/account", get(decode));
        let site = Site::with_pages(pages, |layer| layer);
        let mut browser = site.signed_in().await;
        let page = format!("/account?{given}");
        match expected {
            Ok(expected) => {
                change(&mut browser, &page).await;
                assert_eq!(account(&mut browser).await, expected);
            }
            Err(length) => {
                let reply = browser.get(&page).await;
                let text = format!("the account must have 1 to 256 bytes: it has {length}");
                assert_eq!((&*reply.body, reply.cookies().len()), (&*text, 0));
                assert_eq!(account(&mut browser).await, Value::Null);
            }
        }
    }
}

#[tokio::test]
async fn the_account_of_the_verdict_has_the_same_limits() {
    for (account, fits) in [
        (String::new(), false),
        ("企".repeat(85), true),
        ("a".repeat(256), true),
        ("a".repeat(257), false),
    ] {
        let verdict = Verdict::allow().with_account(account.clone());
        let hook = async move |_, _| Ok(verdict.clone());
        let site = Site::with_pages(|_| shown::page(), |layer| layer.on_login(hook));
        let mut browser = site.browser().program();
        let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
        match fits {
            true => assert_eq!(shown::account(&mut browser).await, account),
            false => end.assert_failed(424, "app_failed"),
        }
    }
}

#[tokio::test]
async fn the_handler_of_a_forwarded_callback_has_the_account_of_the_verdict() {
    let handler = get(async |session: QqSession| session.account().unwrap_or_default().to_owned());
    let site = Site::with_pages(
        |_| shown::page().route("/auth/qq/callback", handler),
        |layer| {
            let allow = async |_, _| Ok(Verdict::allow().with_account("42"));
            layer.forward_callback().on_login(allow)
        },
    );
    let mut browser = site.browser();
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(end.body, "42");
    assert_eq!(account(&mut browser).await, "42");
}

#[tokio::test]
async fn a_fresh_profile_replaces_nickname_and_picture() {
    let site = site();
    let mut browser = site.signed_in().await;
    let before = session(&mut browser).await;
    change(&mut browser, "/account?42").await;
    change(&mut browser, "/nickname/fresh").await;
    let mut expected = before;
    expected["account"] = json!("42");
    expected["user"]["nickname"] = json!("fresh");
    expected["user"]["avatar"] = json!("https://q.qlogo.cn/new");
    assert_eq!(session(&mut browser).await, expected);
}

#[tokio::test]
async fn a_profile_fetched_with_the_kept_tokens_fits_the_session() {
    let refresh = |client: QqClient| {
        get(async move |session: QqSession, tokens: QqTokens| {
            let user = client.user_info(&tokens, session.user().openid()).await;
            respond(session.with_user(user.unwrap()))
        })
    };
    let pages = |qq: &tower_qq_auth::mock::MockQq| {
        let client = QqClient::with_service(site::app(), qq.clone());
        shown::page().route("/refresh", refresh(client))
    };
    let site = Site::with_pages(pages, |layer| layer.keep_tokens());
    let mut browser = site.signed_in().await;
    let mut people = site.qq.people();
    people[0].nickname = "改名".into();
    site.qq.set_people(people);
    change(&mut browser, "/refresh").await;
    assert_eq!(browser.whoami().await["nickname"], "改名");
}

#[tokio::test]
async fn with_user_takes_the_same_openid_only_and_keeps_a_unionid() {
    // The openid and the UnionID of the fresh user, and the UnionID afterwards.
    for (openid, unionid, expected) in [
        ("SAME", None, Some("UID_1")),
        ("SAME", Some("UID_1"), Some("UID_1")),
        ("SAME", Some("UID_2"), Some("UID_2")),
        ("same", Some("UID_1"), None),
        ("SAME1", None, None),
    ] {
        let user = |openid, unionid: Option<&str>| {
            let user = QqUser::new(OpenId::new(openid).unwrap());
            let unionid = unionid.map(|id| UnionId::new(id).unwrap());
            unionid.map_or(user.clone(), |id| user.with_unionid(id))
        };
        let fresh = user(openid, unionid);
        let page = async |session: QqSession| respond(session.with_user(fresh));
        let (site, layer) =
            Site::with_layer(|_| shown::page().route("/change", get(page)), |layer| layer);
        let mut browser = site.browser();
        let cookie = layer.session_cookie(&user("SAME", Some("UID_1")), None);
        let cookie = cookie.unwrap();
        let (name, value) = cookie.split_once('=').unwrap();
        browser.jar.insert(name.into(), value.into());
        let reply = browser.get("/change").await;
        assert_eq!(
            reply.body == "changed",
            expected.is_some(),
            "{}",
            reply.body
        );
        let user = browser.whoami().await;
        assert_eq!(user["openid"], "SAME");
        assert_eq!(user["unionid"], expected.unwrap_or("UID_1"));
    }
}

#[tokio::test]
async fn new_tokens_need_keep_tokens() {
    let site = site_with_tokens();
    let mut browser = site.signed_in().await;
    change(&mut browser, "/account?42").await;
    change(&mut browser, "/token/NEW").await;
    let found = session(&mut browser).await;
    assert_eq!(
        (&found["access_token"], &found["account"]),
        (&json!("NEW"), &json!("42"))
    );

    let reply = self::site().signed_in().await.get("/token/NEW").await;
    assert!(reply.body.contains("`.keep_tokens()`"), "{}", reply.body);
    assert!(reply.cookies().is_empty());
}

#[tokio::test]
async fn a_change_that_does_not_fit_into_the_cookie_is_an_error() {
    let site = site_with_tokens();
    let mut browser = site.signed_in().await;
    for page in ["/token/", "/nickname/"].map(|page| page.to_owned() + &"x".repeat(2000)) {
        let reply = browser.get(&page).await;
        assert!(reply.body.contains("more than 2048"), "{}", reply.body);
        assert!(reply.cookies().is_empty());
    }
    // An account that is short enough, beside tokens that leave no room for it.
    change(&mut browser, &format!("/token/{}", "x".repeat(1200))).await;
    let reply = browser.get(&format!("/account?{}", "x".repeat(256))).await;
    assert!(reply.body.contains("more than 2048"), "{}", reply.body);
    assert_eq!(account(&mut browser).await, Value::Null);
    change(&mut browser, "/account?42").await;
}

#[tokio::test]
async fn the_account_survives_renewals_new_tokens_and_new_keys() {
    const OLD: &str = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";
    const NEW: &str = "0a14983ae332e8d89e40cc103202851adaf970b47f759202d22e1d1198cfa9bc";
    let site = Site::new();
    let router = |keys: &str| {
        let client = QqClient::with_service(site::app(), site.qq.clone());
        let clock = site.clock.clone();
        let keys = SessionKeys::parse(keys).unwrap();
        let layer = tower_qq_auth::QqAuthLayer::builder(client, keys).keep_tokens();
        let layer = layer.clock(move || clock.now()).build().unwrap();
        site::pages().merge(pages()).layer(layer)
    };
    let mut browser = site.browser();
    browser.router = router(OLD);
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    change(&mut browser, "/account?42").await;
    let first = session(&mut browser).await;

    change(&mut browser, "/token/NEW").await;
    let rings = [OLD, &format!("{OLD},{NEW}"), &format!("{NEW},{OLD}"), NEW];
    for ring in rings {
        browser.router = router(ring);
        assert_eq!(account(&mut browser).await, "42", "{ring}");
        site.clock.advance(4 * DAY);
        let renewed = browser.get("/").await;
        assert_eq!(renewed.cookies().len(), 1, "{ring}");
    }
    let last = session(&mut browser).await;
    assert_eq!(
        (&last["id"], &last["account"]),
        (&first["id"], &json!("42"))
    );
    assert_eq!(last["access_token"], "NEW");
    browser.router = router(OLD);
    assert_eq!(
        session(&mut browser).await,
        Value::Null,
        "sealed by the new key"
    );
}

#[tokio::test]
async fn debug_output_shows_no_tokens() {
    let page = get(async |session: QqSession| format!("{session:?}"));
    let site = Site::with_pages(
        |_| pages().route("/debug", page),
        |layer| layer.keep_tokens(),
    );
    let mut browser = site.signed_in().await;
    change(&mut browser, "/token/canary").await;
    let shown = browser.get("/debug").await.body;
    assert!(
        shown.starts_with("QqSession {") && !shown.contains("canary"),
        "{shown}"
    );
}

#[test]
fn the_id_of_a_session_is_written_as_32_hex_digits() {
    let id: SessionId = "0A14983ae332e8d89e40cc103202851a".parse().unwrap();
    assert_eq!(id.to_string(), "0a14983ae332e8d89e40cc103202851a");
    assert_eq!(format!("{id:?}"), id.to_string());
    for text in [
        "",
        "0",
        "0a14983ae332e8d89e40cc103202851",
        "0a14983ae332e8d89e40cc103202851ab",
        "+a14983ae332e8d89e40cc103202851a",
        "0a14983ae332e8d89e40cc103202851g",
        "0a14983ae332e8d89e40cc10320285小",
    ] {
        assert!(text.parse::<SessionId>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_session_cookie_for_tests_can_have_an_account() {
    let site = Site::new();
    let layer = site::layer(&site.qq);
    let user = QqUser::new(OpenId::new("ANN").unwrap());
    let cookie = layer.session_cookie_with_account(&user, "42", None);
    let mut browser = site.browser().header("cookie", &cookie.unwrap());
    browser.router = pages().layer(layer.clone());
    assert_eq!(account(&mut browser).await, "42");
    for account in [String::new(), "x".repeat(257)] {
        let cookie = layer.session_cookie_with_account(&user, &account, None);
        let error = cookie.unwrap_err().to_string();
        assert!(error.contains("1 to 256 bytes"), "{error}");
    }
}

#[tokio::test]
async fn errors_and_changes_are_responses_by_themselves() {
    let refuse = async |session: QqSession| session.with_account("").map(|_| ());
    let change = async |session: QqSession| session.with_account("42");
    let leave = async || SignOut;
    let pages = Router::new()
        .route("/refuse", get(refuse))
        .route("/change", get(change))
        .route("/leave", get(leave));
    let site = Site::with_pages(|_| pages.merge(self::pages()), |layer| layer);
    let mut browser = site.signed_in().await;
    let reply = browser.get("/refuse").await;
    assert_eq!(reply.status, 424);
    assert!(reply.body.contains("1 to 256 bytes"), "{reply:?}");
    assert_eq!(browser.get("/change").await.status, 200);
    assert_eq!(account(&mut browser).await, "42");
    assert_eq!(browser.get("/leave").await.status, 200);
    assert!(browser.jar.is_empty());
}
