//! The quickstart, run as a process.

use serde_json::Value;
use tokio::net::TcpListener;
use tower_qq_auth::mock::{Endpoint, MockQq};

use crate::{
    process::{Running, browser, callback_at, choose, example, page},
    site::{APP_ID, APP_KEY},
};

const KEY: &str = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";

async fn whoami(browser: &reqwest::Client, site: &str) -> Value {
    let body = browser
        .get(format!("{site}whoami"))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn signs_in_with_one_click_if_nothing_is_configured() {
    let mut running = Running::start("quickstart", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    let callback = running.printed("callback").await;
    assert!(
        callback.starts_with(&format!("{site}auth/qq/callback")),
        "{callback}"
    );

    let browser = browser();
    assert_eq!(whoami(&browser, &site).await, Value::Null);
    let home = page(&browser, &site).await.text().await.unwrap();
    assert!(home.contains("href=\"/auth/qq/login\""));

    let mock = page(&browser, &format!("{site}me")).await;
    let end = choose(&browser, mock, 0).await;
    assert_eq!(end.url().as_str(), format!("{site}me"));
    let user = whoami(&browser, &site).await;
    let mut fields: Vec<_> = user.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "app_id",
            "avatar",
            "nickname",
            "openid",
            "profile_complete",
            "unionid"
        ]
    );
    assert_eq!(user["profile_complete"], true);
    let home = page(&browser, &site).await.text().await.unwrap();
    assert!(home.contains(user["openid"].as_str().unwrap()));
    assert!(home.contains("<img src=\"https://"));
    assert!(home.contains("<form method=\"post\" action=\"/auth/qq/logout\">"));

    let status = browser
        .post(format!("{site}me"))
        .send()
        .await
        .unwrap()
        .status();
    assert_eq!(status, 405);
    assert_eq!(
        page(&browser, &format!("{site}nowhere")).await.status(),
        404
    );
    browser
        .post(format!("{site}auth/qq/logout"))
        .send()
        .await
        .unwrap();
    assert_eq!(whoami(&browser, &site).await, Value::Null);
}

#[tokio::test]
async fn uses_the_qq_at_the_base_url_if_everything_is_configured() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let (_running, address) = Running::at_qq(&base_url, &[]).await;
    let qq = MockQq::new(APP_ID, APP_KEY, callback_at(address));
    tokio::spawn(qq.clone().serve(listener));
    let (browser, site) = (browser(), format!("http://{address}/"));
    let mock = page(&browser, &format!("{site}auth/qq/login")).await;
    assert!(mock.url().as_str().starts_with(&base_url));
    let end = choose(&browser, mock, 0).await;
    assert_eq!(end.url().as_str(), site);
    assert_eq!(
        whoami(&browser, &site).await["openid"],
        qq.people()[0].openid
    );
    assert_eq!(qq.calls(Endpoint::Token), 1);
    assert_eq!(
        page(&browser, &format!("{site}mock-qq/oauth2.0/authorize"))
            .await
            .status(),
        404
    );
}

#[tokio::test]
async fn exits_with_one_line_that_names_the_wrong_or_missing_variable() {
    let correct = [
        ("QQ_APP_ID", "101905280"),
        ("QQ_APP_KEY", "canary-app-key"),
        ("QQ_REDIRECT_URI", "https://site.example/auth/qq/callback"),
        ("QQ_SESSION_KEY", KEY),
        ("LISTEN", "127.0.0.1:0"),
    ];
    let mut cases: Vec<(&str, Option<&str>)> = vec![
        ("QQ_APP_ID", Some("my-app")),
        ("QQ_APP_KEY", Some("canary with blanks")),
        ("QQ_APP_KEY_FILE", Some("/nonexistent/canary")),
        (
            "QQ_REDIRECT_URI",
            Some("http://site.example/auth/qq/callback"),
        ),
        ("QQ_SESSION_KEY", Some("canary")),
        ("QQ_BASE_URL", Some("http://graph.qq.com")),
        ("LISTEN", Some("not-an-address")),
    ];
    cases.extend(correct[..4].iter().map(|(name, _)| (*name, None)));
    cases.extend(correct[..4].iter().map(|(name, _)| (*name, Some(""))));
    for (name, value) in cases {
        let mut environment: Vec<_> = correct
            .into_iter()
            .filter(|(other, _)| *other != name)
            .collect();
        environment.extend(value.map(|value| (name, value)));
        let output = example("quickstart", &environment).output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name}={value:?}");
        assert_eq!(stderr.lines().count(), 1, "{name}={value:?}: {stderr}");
        assert!(stderr.contains(name), "{name}={value:?}: {stderr}");
        assert!(!stderr.contains("canary"), "{name}={value:?}: {stderr}");
    }
    for (name, value) in &correct[..4] {
        let output = example("quickstart", &[(name, value), ("LISTEN", "127.0.0.1:0")])
            .output()
            .await
            .unwrap();
        assert!(!output.status.success(), "{name} alone is not enough");
    }
}

#[tokio::test]
async fn offers_the_mock_on_loopback_addresses_only() {
    let output = example("quickstart", &[("LISTEN", "0.0.0.0:0")])
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("LISTEN"), "{stderr}");
}

#[cfg(unix)]
#[tokio::test]
async fn distinguishes_a_missing_session_key_from_one_that_is_not_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let cases: [(&[u8], &str); 3] = [
        (b"", "is not set"),
        (b" \t", "is not set"),
        (b"\xff\xfe", "is not UTF-8"),
    ];
    for (value, problem) in cases {
        let mut command = example("quickstart", &[]);
        for (name, value) in [
            ("QQ_APP_ID", "101905280"),
            ("QQ_APP_KEY", "canary-app-key"),
            ("QQ_REDIRECT_URI", "https://site.example/auth/qq/callback"),
            ("LISTEN", "127.0.0.1:0"),
        ] {
            command.env(name, value);
        }
        command.env("QQ_SESSION_KEY", OsStr::from_bytes(value));
        let output = command.output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{value:?}");
        assert!(stderr.contains("QQ_SESSION_KEY"), "{value:?}: {stderr}");
        assert!(stderr.contains(problem), "{value:?}: {stderr}");
    }
}
