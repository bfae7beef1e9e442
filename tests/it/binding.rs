//! Logins with an intent: to add QQ to an account, and to no other account than the one that asked.

use axum::{Extension, Json, Router, response::IntoResponse, routing::get};
use http::StatusCode;
use serde_json::{Value, json};
use tower_qq_auth::{QqLogin, mock::Endpoint};

use crate::site::{Browser, LOGIN, Reply, SESSION, Site, path};

const BIND: &str = "/auth/qq/login?intent=bind&return_to=/settings";

/// A site whose app answers the callback with the intent.
fn site() -> Site {
    let told = get(async |Extension(login): Extension<QqLogin>| {
        Json((
            login.intent().map(String::from),
            login.return_to().to_owned(),
        ))
        .into_response()
    });
    let pages = Router::new().route("/auth/qq/callback", told);
    Site::with_pages(|_| pages, |layer| layer.forward_callback())
}

/// A browser on a page of the site.
fn inside(browser: &Browser) -> Browser {
    browser.clone().header("sec-fetch-site", "same-origin")
}

/// The callback of a login with an intent, as the person with this openid.
async fn bind(site: &Site, browser: &mut Browser, openid: &str) -> String {
    let mut within = inside(browser);
    let start = within.get(BIND).await;
    browser.jar = within.jar;
    path(&site.qq.approve_as(start.location(), openid).unwrap())
}

/// Signs in as the person with this openid.
async fn sign_in_as(site: &Site, browser: &mut Browser, openid: &str) {
    let start = browser.get("/auth/qq/login").await;
    let callback = site.qq.approve_as(start.location(), openid).unwrap();
    assert!(browser.get(&path(&callback)).await.status.is_success());
}

/// Fails unless the login was refused without a word to QQ, and left who is signed in alone.
#[track_caller]
fn assert_refused(site: &Site, reply: &Reply, calls: usize) {
    reply.assert_failed(403, "refused");
    let [consumed] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(consumed.starts_with(LOGIN) && consumed.ends_with("Max-Age=0"));
    assert_eq!(site.qq.calls(Endpoint::Token), calls, "QQ was not asked");
}

#[tokio::test]
async fn the_intent_comes_back_with_the_login() {
    let site = site();
    let mut browser = site.browser();
    for (login, told) in [
        (BIND, json!(["bind", "/settings"])),
        ("/auth/qq/login?intent=A-b_9", json!(["A-b_9", "/"])),
        ("/auth/qq/login", json!([null, "/"])),
    ] {
        let mut within = inside(&browser);
        let reply = within.sign_in(&site.qq, login).await;
        assert_eq!(serde_json::from_str::<Value>(&reply.body).unwrap(), told);
        browser = within;
    }
}

#[tokio::test]
async fn only_the_own_site_starts_a_login_with_an_intent() {
    let own = "https://site.example";
    let cases: [(&[(&str, &str)], bool); 13] = [
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("origin", own)], true),
        (&[("origin", own), ("sec-fetch-site", "same-origin")], true),
        (
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
            true,
        ),
        (&[], false),
        (&[("referer", "https://site.example/settings")], false),
        (&[("sec-fetch-site", "none")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("origin", own), ("sec-fetch-site", "same-site")], false),
        (&[("origin", "null")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "http://site.example")], false),
    ];
    for (headers, allowed) in cases {
        let site = site();
        let mut browser = site.browser();
        for (name, value) in headers {
            browser.headers.insert(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        let start = browser.get(BIND).await;
        if allowed {
            assert!(start.location().starts_with("https://graph.qq.com/"));
            continue;
        }
        assert_eq!(start.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(browser.jar.is_empty(), "nothing is started: {headers:?}");
        let told = browser.program().get(BIND).await;
        told.assert_failed(403, "refused");
        assert!(told.cookies().is_empty());
    }
}

#[tokio::test]
async fn an_intent_is_one_word_said_once() {
    let site = site();
    let long = "a".repeat(33);
    for odd in [
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
        let mut browser = inside(&site.browser()).program();
        let reply = browser.get(&format!("/auth/qq/login?{odd}")).await;
        reply.assert_failed(403, "refused");
        assert!(browser.jar.is_empty(), "{odd}");
    }
    let start = inside(&site.browser())
        .get(&format!("/auth/qq/login?intent={}", &long[1..]))
        .await;
    assert!(!start.location().is_empty());
}

#[tokio::test]
async fn a_login_with_an_intent_ends_only_in_the_account_that_started_it() {
    let site = site();
    let [one, two, new] = [0, 1, 2].map(|at| site.qq.people()[at].openid.clone());
    // Who is signed in when it starts, and who when it comes back; `None` for nobody.
    let cases = [
        (Some(&one), Some(&one), true),
        (None, None, true),
        (Some(&one), Some(&two), false),
        (Some(&one), None, false),
        (None, Some(&one), false),
    ];
    for (before, after, works) in cases {
        let mut browser = site.browser();
        if let Some(openid) = before {
            sign_in_as(&site, &mut browser, openid).await;
        }
        let callback = bind(&site, &mut browser, &new).await;
        match after {
            // A new session of the same account is the same account.
            Some(openid) => sign_in_as(&site, &mut browser, openid).await,
            None => drop(browser.jar.remove(SESSION)),
        }
        let calls = site.qq.calls(Endpoint::Token);
        let session = browser.jar.get(SESSION).cloned();
        let reply = browser.clone().program().get(&callback).await;
        if works {
            assert_eq!(reply.body, "[\"bind\",\"/settings\"]");
        } else {
            assert_refused(&site, &reply, calls);
            assert_eq!(browser.jar.get(SESSION), session.as_ref());
        }
    }
}

#[tokio::test]
async fn an_ordinary_login_does_not_care_who_was_signed_in() {
    let site = site();
    let [one, two, _] = [0, 1, 2].map(|at| site.qq.people()[at].openid.clone());
    let mut browser = site.browser();
    sign_in_as(&site, &mut browser, &two).await;
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    browser.jar.remove(SESSION);
    assert_eq!(browser.get(&callback).await.body, "[null,\"/\"]");
    assert_eq!(browser.whoami().await["openid"], one);
}

/// The account as an outer layer tells it.
#[derive(Clone)]
struct Account(&'static str);

#[tokio::test]
async fn accounts_can_be_the_apps_own() {
    let told = get(async |Extension(login): Extension<QqLogin>| {
        login.intent().unwrap_or_default().to_owned()
    });
    let site = Site::with_pages(
        |_| Router::new().route("/auth/qq/callback", told.clone()),
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
        (Some("7"), Some("7"), true),
        (None, None, true),
        (Some("7"), Some("8"), false),
        (Some("7"), None, false),
        (None, Some("7"), false),
        (Some(""), None, false),
    ];
    for (before, after, works) in cases {
        let mut browser = inside(&site.browser()).program();
        as_account(&mut browser, before);
        let callback = browser.callback_from(&site.qq, BIND).await;
        as_account(&mut browser, after);
        let calls = site.qq.calls(Endpoint::Token);
        let reply = browser.get(&callback).await;
        if works {
            assert_eq!(reply.body, "bind");
        } else {
            assert_refused(&site, &reply, calls);
        }
        let again = browser.get(&callback).await;
        match after {
            Some(_) => assert_eq!(again.location(), "/", "signed in by the app's own means"),
            None => again.assert_failed(400, "invalid_state"),
        }
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_told_is_nobodys() {
    let broken = |head: &http::request::Parts| -> Option<String> {
        match head.headers.get("x-broken") {
            Some(_) => panic!("no database"),
            None => None,
        }
    };
    let site = Site::with(|app| app, |layer| layer.account_of(broken));
    let mut browser = inside(&site.browser()).program();
    let callback = browser.callback_from(&site.qq, BIND).await;
    let mut broken = browser.clone().header("x-broken", "1");
    broken.get(BIND).await.assert_failed(403, "refused");
    let reply = broken.get(&callback).await;
    assert_refused(&site, &reply, 0);
    let ordinary = broken.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(ordinary.location(), "/", "others do not need to know");
}

#[tokio::test]
async fn a_binding_that_fails_is_told_also_to_who_is_signed_in() {
    let site = Site::new();
    let mut browser = inside(&site.signed_in().await).program();
    let callback = browser
        .callback_from(&site.qq, "/auth/qq/login?intent=bind&return_to=/settings")
        .await;
    site.qq
        .fault(Endpoint::Token, 1, tower_qq_auth::mock::Fault::Code(100020));
    let reply = browser.get(&callback).await;
    reply.assert_failed(400, "code_rejected");
    assert_eq!(reply.problem()["login_url"], "/settings");
}
