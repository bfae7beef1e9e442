//! The route of a site for its phones: JSON in, a session or problem JSON out.

use http::Method;
use serde_json::{Value, json};
use tower_qq_auth::{
    QqLogin, Verdict,
    mock::{Endpoint, Fault},
};

use crate::{
    log::Log,
    phone::{self, LOG_IN, PHONE_APP, log_in_with, site, site_with, token},
    shown::session,
    site::{Browser, SESSION, Site},
};

#[tokio::test]
async fn a_phone_uses_the_pages_of_the_website_until_it_signs_out() {
    let site = site();
    let mut phone = site.browser().program();
    phone.get("/me").await.assert_failed(401, "login_required");
    let reply = log_in_with(&mut phone, &token(&site, PHONE_APP, 0)).await;
    assert_eq!(reply.header("cache-control"), "no-store");
    let me = phone.get("/me").await;
    assert_eq!((me.status.as_u16(), &me.body), (200, &reply.body));
    assert_eq!(phone.post("/form").await.status, 200);
    assert_eq!(phone.post("/auth/qq/logout").await.status, 204);
    phone.get("/me").await.assert_failed(401, "login_required");
}

#[tokio::test]
async fn an_openid_beside_the_token_is_ignored() {
    let site = site();
    let victim = phone::signed_in(&site, 1).await.whoami().await;
    for forged in [&victim["openid"], &json!(site.qq.people()[1].openid)] {
        let body = json!({
            "access_token": token(&site, PHONE_APP, 0),
            "openid": forged,
            "app_id": phone::STRANGER,
            "user": victim,
        });
        let mut phone = site.browser().program();
        assert_eq!(phone.post_json(LOG_IN, body.to_string()).await.status, 200);
        let user = phone.whoami().await;
        assert_eq!(
            (&user["nickname"], &user["app_id"]),
            (&json!("小明"), &json!(PHONE_APP))
        );
        assert_ne!(user["openid"], *forged);
    }
}

#[tokio::test]
async fn a_body_that_is_no_token_starts_nothing() {
    let site = site();
    let good = token(&site, PHONE_APP, 0);
    let long = json!({ "access_token": "A".repeat(64 * 1024) }).to_string();
    let cases = [
        ("", 400),
        ("{", 400),
        ("null", 422),
        ("17", 422),
        ("[]", 422),
        ("{}", 422),
        (r#"{"access_token":null}"#, 422),
        (r#"{"access_token":17}"#, 422),
        (r#"{"access_token":["T0KEN"]}"#, 422),
        (r#"{"access_token":{}}"#, 422),
        (r#"{"token":"T0KEN"}"#, 422),
        (r#"{"access_token":"A","access_token":"B"}"#, 422),
        (&long, 413),
    ];
    let mut phone = site.browser().program();
    for (body, status) in cases {
        let reply = phone.post_json(LOG_IN, body.to_owned()).await;
        assert_eq!(reply.status, status, "{body:.80}: {}", reply.body);
    }
    let json = json!({ "access_token": good }).to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let mut phone = phone.clone().header("content-type", content_type);
        for body in [&json, &format!("access_token={good}")] {
            let reply = phone.send_body(Method::POST, LOG_IN, body.clone()).await;
            assert_eq!(reply.status, 415, "{content_type}: {}", reply.body);
        }
    }
    let reply = phone.send_body(Method::POST, LOG_IN, json).await;
    assert_eq!(reply.status, 415, "no content type");
    assert_eq!(phone.get(LOG_IN).await.status, 405);
    assert!(phone.jar.is_empty());
    assert!(site.qq.journal().is_empty());
}

#[tokio::test]
async fn another_site_cannot_sign_a_browser_in_with_its_own_token() {
    let site = site();
    let signed_in = site.signed_in().await;
    let attackers = token(&site, PHONE_APP, 1);
    let log = Log::start();
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        for before in [site.browser(), signed_in.clone()] {
            let mut browser = before.clone().header(name, value);
            let reply = log_in_with(&mut browser, &attackers).await;
            assert!(reply.cookies().is_empty(), "{name}: {value}: {reply:?}");
            assert_eq!(browser.jar, before.jar);
        }
    }
    assert!(log.text().contains("QqSession is not set"));
    let mut own = site.browser().header("origin", "https://site.example");
    log_in_with(&mut own, &attackers).await;
    assert!(own.jar.contains_key(SESSION));
}

#[tokio::test]
async fn a_phone_login_replaces_the_session_of_the_request() {
    let site = site();
    let mut client = site.signed_in().await;
    let before = session(&mut client).await;
    log_in_with(&mut client, &token(&site, PHONE_APP, 0)).await;
    let after = session(&mut client).await;
    assert_ne!(after["id"], before["id"]);
    assert_eq!(after["user"]["app_id"], PHONE_APP);
}

#[tokio::test]
async fn the_hook_decides_by_the_identity() {
    let banned = |login: &QqLogin| login.user().app_id() == PHONE_APP;
    let (site, _) = site_with(
        |app| app,
        |layer| {
            layer.on_login(async move |login, _| {
                Ok(match banned(&login) {
                    true => Verdict::refuse("this account is closed"),
                    false => Verdict::allow(),
                })
            })
        },
    );
    let mut phone = site.browser().program();
    let reply = log_in_with(&mut phone, &token(&site, PHONE_APP, 0)).await;
    reply.assert_failed(403, "refused");
    assert_eq!(reply.problem()["detail"], "this account is closed");
    assert_ne!(site.signed_in().await.whoami().await, Value::Null);
}

#[tokio::test]
async fn an_error_is_problem_json_with_the_code_of_the_log() {
    let site = site();
    let cases = [
        ("not one word", None, "code_rejected", None),
        ("GARBAGE", None, "code_rejected", None),
        ("T0KEN", Some(Fault::Code(100062)), "qq_busy", Some("5")),
        ("T0KEN", Some(Fault::Code(100011)), "not_approved", None),
    ];
    for (token, fault, code, retry_after) in cases {
        let log = Log::start();
        if let Some(fault) = fault {
            site.qq.fault(Endpoint::Me, 2, fault);
        }
        // A browser's `Accept` makes no page of it.
        for mut phone in [site.browser(), site.browser().program()] {
            let reply = log_in_with(&mut phone, token).await;
            let problem = reply.problem();
            assert_eq!(problem["code"], code);
            assert_eq!(problem["status"], reply.status.as_u16());
            assert_eq!(reply.header("cache-control"), "no-store");
            let found = reply
                .headers
                .get("retry-after")
                .map(|it| it.to_str().unwrap());
            assert_eq!(found, retry_after);
            let support_code = problem["support_code"].as_str().unwrap();
            let lines = log.text();
            let mut lines = lines.lines().filter(|line| line.contains(support_code));
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("{support_code}: {}", log.text()));
            assert!(line.contains("access token not verified: "), "{line}");
            assert!(line.contains(code), "{line}");
        }
    }
}

/// Anyone can send their own token again and again, to a site that refuses them or from a page of
/// another site.
#[tokio::test]
async fn a_token_that_is_sent_again_and_again_does_not_fill_the_log() {
    let refuse = async |_, _| Ok(Verdict::refuse("banned"));
    let (refusing, _) = site_with(|app| app, |layer| layer.on_login(refuse));
    let site = site();
    let elsewhere = || site.browser().header("origin", "https://elsewhere.example");
    let banned = || refusing.browser();
    let cases: [(&str, &Site, &dyn Fn() -> Browser); 2] = [
        ("QqSession is not set", &site, &elsewhere),
        ("login ended: refused", &refusing, &banned),
    ];
    for (line, at, phone) in cases {
        let log = Log::start();
        let token = token(at, PHONE_APP, 0);
        for _ in 0..20 {
            log_in_with(&mut phone(), &token).await;
        }
        let lines = log.text().lines().filter(|it| it.contains(line)).count();
        assert!((1..20).contains(&lines), "{line}: {lines}");
    }
}
