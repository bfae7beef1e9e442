//! The quickstart as a stranger runs it: a process, a socket, a browser that follows redirects.

use serde_json::Value;
use tokio::net::TcpListener;
use tower_qq_auth::mock::{Endpoint, MockQq};

use crate::{
    process::{Running, browser, callback_at, choose, example, page},
    site::{APP_ID, APP_KEY},
};

const KEY: &str = "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3";

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
async fn with_nothing_configured_one_click_signs_in() {
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
async fn with_everything_configured_it_talks_to_the_qq_at_the_base_url() {
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
async fn a_wrong_or_half_set_configuration_ends_it_with_one_line_that_names_the_variable() {
    let right = [
        ("QQ_APP_ID", "101905280"),
        ("QQ_APP_KEY", "canary-app-key"),
        ("QQ_REDIRECT_URI", "https://site.example/auth/qq/callback"),
        ("QQ_SESSION_KEY", KEY),
        ("LISTEN", "127.0.0.1:0"),
    ];
    let mut cases: Vec<(&str, Option<&str>)> = vec![
        ("QQ_APP_ID", Some("canary")),
        ("QQ_APP_KEY", Some("canary with blanks")),
        ("QQ_APP_KEY_FILE", Some("/nonexistent/canary")),
        (
            "QQ_REDIRECT_URI",
            Some("http://site.example/auth/qq/callback"),
        ),
        ("QQ_SESSION_KEY", Some("canary")),
        ("QQ_BASE_URL", Some("http://graph.qq.com")),
        ("LISTEN", Some("canary")),
    ];
    cases.extend(right[..4].iter().map(|(name, _)| (*name, None)));
    cases.extend(right[..4].iter().map(|(name, _)| (*name, Some(""))));
    for (name, value) in cases {
        let mut environment: Vec<_> = right
            .into_iter()
            .filter(|(other, _)| *other != name)
            .collect();
        environment.extend(value.map(|value| (name, value)));
        let output = example("quickstart", &environment).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name}={value:?}");
        assert_eq!(said.lines().count(), 1, "{name}={value:?}: {said}");
        assert!(said.contains(name), "{name}={value:?}: {said}");
        assert!(
            name == "LISTEN" || !said.contains("canary"),
            "{name}={value:?}: {said}"
        );
    }
    for (name, value) in &right[..4] {
        let output = example("quickstart", &[(name, value), ("LISTEN", "127.0.0.1:0")])
            .output()
            .await
            .unwrap();
        assert!(!output.status.success(), "{name} alone is not enough");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_session_key_that_is_not_there_is_told_from_one_that_is_not_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let cases: [(&[u8], &str); 3] = [
        (b"", "is not set"),
        (b" \t", "is not set"),
        (b"\xff\xfe", "is not text"),
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
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{value:?}");
        assert!(said.contains("QQ_SESSION_KEY"), "{value:?}: {said}");
        assert!(said.contains(problem), "{value:?}: {said}");
    }
}
