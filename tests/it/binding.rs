//! Logins with an intent, such as binding QQ to the account that started the login.

use axum::{Extension, Json, Router, extract::Path, response::IntoResponse, routing::get};
use http::StatusCode;
use serde_json::{Value, json};
use tower_qq_auth::{
    Identity, OpenId, QqLogin, QqSession, QqUser,
    mock::{Endpoint, Fault},
};

use crate::{
    phone::PHONE_APP,
    site::{APP_ID, Browser, LOGIN, Reply, SESSION, Site, param, path},
};

const BIND: &str = "/auth/qq/login?intent=bind&return_to=/settings";

/// A site whose app answers the callback with the intent and `return_to`, and sets the account.
fn site() -> Site {
    let show = get(async |Extension(login): Extension<QqLogin>| {
        Json((
            login.intent().map(String::from),
            login.return_to().to_owned(),
        ))
        .into_response()
    });
    let account = async |Path(account): Path<String>, session: QqSession| {
        (session.with_account(account).unwrap(), "changed")
    };
    let pages = Router::new()
        .route("/auth/qq/callback", show)
        .route("/account/{account}", get(account));
    Site::with_pages(|_| pages, |layer| layer.forward_callback())
}

/// Returns the same browser on a page of the site.
fn on_site(browser: &Browser) -> Browser {
    browser.clone().header("sec-fetch-site", "same-origin")
}

/// Starts a login with an intent, approves it as this user and returns the callback.
async fn bind(site: &Site, browser: &mut Browser, openid: &str) -> String {
    let mut on_page = on_site(browser);
    let start = on_page.get(BIND).await;
    browser.jar = on_page.jar;
    path(&site.qq.approve_as(start.location(), openid).unwrap())
}

/// Signs in as this user.
async fn sign_in_as(site: &Site, browser: &mut Browser, openid: &str) {
    let start = browser.get("/auth/qq/login").await;
    let callback = site.qq.approve_as(start.location(), openid).unwrap();
    assert!(browser.get(&path(&callback)).await.status.is_success());
}

/// Fails unless the login was refused without a call to QQ, and only its own cookie was cleared.
#[track_caller]
fn assert_refused(site: &Site, reply: &Reply, calls: usize) {
    reply.assert_failed(403, "refused");
    assert_eq!(reply.problem().get("login_url"), None);
    let [cleared] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(cleared.starts_with(LOGIN) && cleared.ends_with("Max-Age=0"));
    assert_eq!(site.qq.calls(Endpoint::Token), calls, "QQ was called");
}

#[tokio::test]
async fn the_intent_reaches_the_callback_handler() {
    let site = site();
    let mut browser = site.browser();
    for (login, expected) in [
        ("/auth/qq/login", json!([null, "/"])),
        (BIND, json!(["bind", "/settings"])),
        ("/auth/qq/login?intent=A-b_9", json!(["A-b_9", "/"])),
    ] {
        browser = on_site(&browser);
        let reply = browser.sign_in(&site.qq, login).await;
        let found: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn rejects_intents_that_are_not_one_word() {
    let site = site();
    let long = "a".repeat(33);
    for query in [
        "intent=",
        "intent",
        "intent=a%20b",
        "intent=%E7%BB%91",
        "intent=%FF",
        "intent=a%0D%0Ab",
        "intent=bind&intent=bind",
        "intent=bind&%69ntent=other",
        &format!("intent={long}"),
    ] {
        let mut browser = on_site(&site.browser()).program();
        let reply = browser.get(&format!("/auth/qq/login?{query}")).await;
        reply.assert_failed(403, "refused");
        assert_eq!(reply.problem().get("login_url"), None);
        assert!(browser.jar.is_empty(), "{query}");
    }
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    let longest = format!("/auth/qq/login?intent={}", &long[1..]);
    let start = on_site(&browser).get(&longest).await;
    assert!(!start.location().is_empty());
}

#[tokio::test]
async fn a_login_with_an_intent_completes_only_for_the_same_account() {
    let site = site();
    let [one, two, new] = [0, 1, 2].map(|at| site.qq.people()[at].openid.clone());
    // The signed-in user at the callback, and whether the login of `one` completes.
    let cases = [(Some(&one), true), (Some(&two), false), (None, false)];
    for (after, completes) in cases {
        let mut browser = site.browser();
        sign_in_as(&site, &mut browser, &one).await;
        let callback = bind(&site, &mut browser, &new).await;
        match after {
            // A new session of the same user still counts as the same account.
            Some(openid) => sign_in_as(&site, &mut browser, openid).await,
            None => drop(browser.jar.remove(SESSION)),
        }
        let calls = site.qq.calls(Endpoint::Token);
        let session = browser.jar.get(SESSION).cloned();
        let reply = browser.clone().program().get(&callback).await;
        if completes {
            assert_eq!(reply.body, "[\"bind\",\"/settings\"]");
        } else {
            assert_refused(&site, &reply, calls);
            assert_eq!(browser.jar.get(SESSION), session.as_ref());
        }
    }
}

#[tokio::test]
async fn an_openid_does_not_pass_for_an_account_of_the_same_text() {
    let site = site();
    let openid = site.qq.people()[0].openid.clone();
    let mut browser = site.browser();
    sign_in_as(&site, &mut browser, &openid).await;
    let callback = bind(&site, &mut browser, &openid).await;
    // Before the callback arrives, the app is deployed again with accounts of its own.
    let account = openid.clone();
    let deployed = Site::with(
        |app| app,
        |layer| layer.account_of(move |_| Some(account.clone())),
    );
    let mut browser = browser.program();
    browser.router = deployed.router.clone();
    let reply = browser.get(&callback).await;
    assert_refused(&deployed, &reply, 0);
}

#[tokio::test]
async fn an_openid_does_not_pass_for_the_same_text_at_another_app() {
    let (site, layer) = Site::with_layer(|_| Router::new(), |layer| layer);
    let openid = OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C").unwrap();
    let new = site.qq.people()[2].openid.clone();
    let sign_in = |browser: &mut Browser, app_id| {
        let user = QqUser::new(Identity::new(app_id, &openid).unwrap());
        let cookie = layer.session_cookie(&user, None).unwrap();
        let value = cookie.split_once('=').unwrap().1.to_owned();
        browser.jar.insert(SESSION.into(), value);
    };
    for (before, after) in [(APP_ID, PHONE_APP), (PHONE_APP, APP_ID)] {
        for (at_callback, completes) in [(before, true), (after, false)] {
            let mut browser = site.browser();
            sign_in(&mut browser, before);
            let callback = bind(&site, &mut browser, &new).await;
            sign_in(&mut browser, at_callback);
            let calls = site.qq.calls(Endpoint::Token);
            let reply = browser.program().get(&callback).await;
            match completes {
                true => assert_eq!(reply.location(), "/settings", "{before}"),
                false => assert_refused(&site, &reply, calls),
            }
        }
    }
}

#[tokio::test]
async fn the_account_in_the_session_counts_and_not_the_qq() {
    let site = site();
    let [one, two, new] = [0, 1, 2].map(|at| site.qq.people()[at].openid.clone());
    // The QQ and the account in the session at the start and at the callback.
    type Signed<'s> = (&'s str, Option<&'s str>);
    let cases: [(Signed<'_>, Signed<'_>, bool); 8] = [
        ((&one, Some("42")), (&one, Some("42")), true),
        // The account has two QQs.
        ((&one, Some("42")), (&two, Some("42")), true),
        ((&one, Some("42")), (&one, Some("43")), false),
        ((&one, Some("42")), (&one, None), false),
        ((&one, None), (&one, Some("42")), false),
        ((&one, None), (&two, None), false),
        // An account with the text of an openid is another account.
        ((&one, None), (&one, Some(&one)), false),
        ((&one, Some(&one)), (&one, None), false),
    ];
    for (before, after, completes) in cases {
        let mut browser = site.browser();
        let sign_in = async |browser: &mut Browser, (openid, account): Signed<'_>| {
            sign_in_as(&site, browser, openid).await;
            if let Some(account) = account {
                let reply = browser.get(&format!("/account/{account}")).await;
                assert_eq!(reply.body, "changed");
            }
        };
        sign_in(&mut browser, before).await;
        let callback = bind(&site, &mut browser, &new).await;
        sign_in(&mut browser, after).await;
        let calls = site.qq.calls(Endpoint::Token);
        let reply = browser.program().get(&callback).await;
        match completes {
            true => assert_eq!(
                reply.body, r#"["bind","/settings"]"#,
                "{before:?} {after:?}"
            ),
            false => assert_refused(&site, &reply, calls),
        }
    }
}

#[tokio::test]
async fn a_login_without_an_intent_ignores_the_signed_in_user() {
    let site = site();
    let [one, two, _] = [0, 1, 2].map(|at| site.qq.people()[at].openid.clone());
    let mut browser = site.browser();
    sign_in_as(&site, &mut browser, &two).await;
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    browser.jar.remove(SESSION);
    assert_eq!(browser.get(&callback).await.body, "[null,\"/\"]");
    assert_eq!(browser.whoami().await["openid"], one);
}

/// The account that an outer layer puts into the request extensions.
#[derive(Clone)]
struct Account(&'static str);

#[tokio::test]
async fn the_account_of_hook_tells_accounts_apart() {
    let show = get(async |Extension(login): Extension<QqLogin>| {
        login.intent().unwrap_or_default().to_owned()
    });
    let site = Site::with_pages(
        |_| Router::new().route("/auth/qq/callback", show.clone()),
        |layer| {
            layer.without_session().account_of(|head| {
                let account: &Account = head.extensions.get()?;
                Some(account.0.to_owned())
            })
        },
    );
    let bare = site.router.clone();
    let as_account = |browser: &mut Browser, account: Option<&'static str>| {
        browser.router = match account {
            Some(account) => bare.clone().layer(Extension(Account(account))),
            None => bare.clone(),
        };
    };
    let cases = [
        ("7", Some("7"), true),
        ("7", Some("8"), false),
        ("7", None, false),
        ("", Some(""), true),
        ("", None, false),
    ];
    for (before, after, completes) in cases {
        let mut browser = on_site(&site.browser()).program();
        as_account(&mut browser, Some(before));
        let callback = browser.callback_from(&site.qq, BIND).await;
        as_account(&mut browser, after);
        let calls = site.qq.calls(Endpoint::Token);
        let reply = browser.get(&callback).await;
        if completes {
            assert_eq!(reply.body, "bind");
        } else {
            assert_refused(&site, &reply, calls);
        }
        let again = browser.get(&callback).await;
        match after {
            Some(_) => assert_eq!(again.location(), "/", "the app has its own session"),
            None => again.assert_failed(400, "invalid_state"),
        }
    }
}

#[tokio::test]
async fn fails_logins_with_an_intent_while_the_account_of_hook_panics() {
    let broken = |head: &http::request::Parts| -> Option<String> {
        match head.headers.get("x-broken") {
            Some(_) => panic!("no database"),
            None => Some("7".to_owned()),
        }
    };
    let site = Site::with(|app| app, |layer| layer.account_of(broken));
    let mut browser = on_site(&site.browser()).program();
    let callback = browser.callback_from(&site.qq, BIND).await;
    let mut broken = browser.clone().header("x-broken", "1");
    broken.get(BIND).await.assert_failed(424, "app_failed");
    let reply = broken.get(&callback).await;
    reply.assert_failed(424, "app_failed");
    assert_eq!(site.qq.calls(Endpoint::Token), 0, "QQ was called");
    let ordinary = broken.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(
        ordinary.location(),
        "/",
        "other logins do not need the hook"
    );
}

#[tokio::test]
async fn a_failed_login_with_an_intent_is_reported_to_a_signed_in_user() {
    let site = Site::new();
    let mut browser = on_site(&site.signed_in().await);
    let callback = browser.callback_from(&site.qq, BIND).await;
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
    let page = browser.get(&callback).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("href=\"/settings\""), "{}", page.body);

    let mut program = browser.program();
    let callback = program.callback_from(&site.qq, BIND).await;
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
    let reply = program.get(&callback).await;
    reply.assert_failed(400, "code_rejected");
    assert_eq!(reply.problem().get("login_url"), None);
}

#[tokio::test]
async fn only_failed_logins_without_an_intent_have_a_login_url() {
    let login = "/auth/qq/login?return_to=/settings";
    for (start, login_url) in [(login, Some(json!(login))), (BIND, None)] {
        let site = Site::new();
        let browser = match start {
            BIND => site.signed_in().await,
            _ => site.browser(),
        };
        let mut program = on_site(&browser).program();
        let callback = program.callback_from(&site.qq, start).await;
        site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
        let rejected = program.get(&callback).await;
        rejected.assert_failed(400, "code_rejected");

        let callback = program.callback_from(&site.qq, start).await;
        let cancelled = program.get(&format!("{callback}&usercancel=1")).await;
        cancelled.assert_failed(403, "cancelled");

        let callback = program.callback_from(&site.qq, start).await;
        let incomplete = format!("/auth/qq/callback?state={}", param(&callback, "state"));
        let incomplete = program.get(&incomplete).await;
        incomplete.assert_failed(400, "invalid_callback");
        for reply in [rejected, cancelled, incomplete] {
            let problem = reply.problem();
            assert_eq!(problem.get("login_url"), login_url.as_ref(), "{problem}");
        }
    }
}

#[tokio::test]
async fn a_login_with_an_intent_does_not_start_without_an_account() {
    let site = Site::new();
    let mut program = on_site(&site.browser()).program();
    let reply = program.get(BIND).await;
    reply.assert_failed(401, "login_required");
    let login = "/auth/qq/login?return_to=/settings";
    assert_eq!(reply.problem()["login_url"], login);
    assert!(reply.header("www-authenticate").starts_with("QQ "));
    assert_eq!(program.pending_logins(), 0);

    let page = on_site(&site.browser()).get(BIND).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(
        page.body.contains(&format!("href=\"{login}\"")),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn an_account_with_the_text_of_an_openid_is_another_account() {
    // With the same keys, one layer knows openids and the other accounts of the app.
    let by_openid = Site::new();
    let openid = by_openid.qq.people()[0].openid.clone();
    let same_text = openid.clone();
    let by_account = Site::with(
        |app| app,
        |layer| layer.account_of(move |_| Some(same_text.clone())),
    );
    let mut browser = on_site(&by_openid.signed_in().await).program();
    let callback = browser.callback_from(&by_openid.qq, BIND).await;
    browser.router = by_account.router;
    browser.get(&callback).await.assert_failed(403, "refused");
    assert_eq!(by_account.qq.calls(Endpoint::Token), 0);
}

#[test]
fn the_login_url_of_an_intent_takes_one_word() {
    let layer = crate::site::layer(&crate::site::qq());
    let url = layer
        .login_url_with_intent("bind", "/设置?a=1&b=2")
        .unwrap();
    assert_eq!(
        url,
        "/auth/qq/login?intent=bind&return_to=/%E8%AE%BE%E7%BD%AE%3Fa%3D1%26b%3D2"
    );
    let elsewhere = layer.login_url_with_intent("A-b_9", "https://evil.example");
    assert_eq!(
        elsewhere.unwrap(),
        "/auth/qq/login?intent=A-b_9&return_to=/"
    );
    for intent in ["", "a b", "a&return_to=/x", "绑定", &"a".repeat(33)] {
        let error = layer.login_url_with_intent(intent, "/").unwrap_err();
        assert!(error.to_string().starts_with("intent"), "{error}");
    }
}
