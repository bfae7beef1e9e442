//! Settings: what is taken, what is refused, and what is said about it.

use std::time::Duration;

use tower_qq_auth::{ConfigError, QqApp, SessionKeys};

use crate::site::{self, APP_ID, APP_KEY, CALLBACK};

/// Fails unless it is refused, in words that name the setting and keep the secret.
#[track_caller]
fn assert_refused<T>(outcome: Result<T, ConfigError>, setting: &str) {
    let error = outcome
        .err()
        .unwrap_or_else(|| panic!("{setting} was taken"))
        .to_string();
    assert!(error.contains(setting), "{error}");
    assert!(!error.contains("canary"), "{error}");
    assert!(!error.ends_with('.') && error.is_ascii(), "{error}");
}

#[test]
fn apps_that_cannot_work_are_refused_by_the_name_of_the_setting() {
    for id in ["", "canary", "10190528O", "-1", "1 2", &"1".repeat(21)] {
        assert_refused(QqApp::new(id, APP_KEY, CALLBACK), "QQ_APP_ID");
    }
    for key in ["", "canary key", "canary\n", "canary\u{4e2d}"] {
        assert_refused(QqApp::new(APP_ID, key, CALLBACK), "QQ_APP_KEY");
    }
    let long = format!("https://site.example/{}", "x".repeat(460));
    let uris = [
        "",
        "canary",
        "/auth/qq/callback",
        "site.example/auth",
        "ftp://site.example/x",
        "https://",
        "https:///x",
        "http://site.example/auth/qq/callback",
        "http://127.0.0.1.evil.example/x",
        "http://localhost.evil.example/x",
        "http://0.0.0.0/x",
        "https://site.example/x#y",
        "https://user:canary@site.example/x",
        "https://site.example",
        "https://site.example/",
        "https://site.example/?a=b",
        "https://site.example/中",
        "https://site.example/a/../cb",
        "https://site.example/%2e%2E/cb",
        "https://site.example//cb",
        "https://site.example/auth/qq/login",
        "https://site.example/auth/qq/logout",
        "https://site.example/cb?state=canary",
        "https://site.example/cb?a=b&code=canary",
        "https://site.example/cb?a=b&c%6fde=canary",
        "https://site.example/{cb}",
        "https://site.example/a\\cb",
        "https://site.example/\"cb",
        "https://site.example:/cb",
        "https://site.example:99999/cb",
        &long,
    ];
    for uri in uris {
        assert_refused(QqApp::new(APP_ID, APP_KEY, uri), "QQ_REDIRECT_URI");
    }
    for url in [
        "",
        "canary",
        "http://graph.qq.com",
        "https://graph.qq.com?x",
        "https://graph.qq.com/#",
        "file:///x",
    ] {
        assert_refused(site::app().base_url(url), "QQ_BASE_URL");
    }
    assert_refused(site::app().scope(""), "scope");
    assert_refused(site::app().scope("get user info"), "scope");
    assert_refused(site::app().call_timeout(Duration::ZERO), "call timeout");
    assert_refused(site::app().login_timeout(Duration::ZERO), "login timeout");
}

#[test]
fn apps_that_can_work_are_taken() {
    for uri in [
        CALLBACK,
        "https://site.example:8443/cb",
        "https://site.example/cb?tenant=7&c%6fdes=x",
        "http://localhost:3000/cb",
        "http://LOCALHOST/cb",
        "http://127.0.0.1:3000/cb",
        "http://127.8.9.1/cb",
        "http://[::1]:3000/cb",
    ] {
        assert_eq!(
            QqApp::new(APP_ID, APP_KEY, uri).unwrap().redirect_uri(),
            uri
        );
    }
    let lan = "http://10.0.0.7:8080/cb";
    assert_eq!(
        site::app()
            .danger_plain_http_redirect_uri(lan)
            .unwrap()
            .redirect_uri(),
        lan
    );
    for url in [
        "https://graph.qq.com/",
        "https://proxy.example/qq",
        "http://127.0.0.1:9/",
        "http://[::1]:9",
    ] {
        assert!(site::app().base_url(url).is_ok(), "{url}");
    }
}

#[test]
fn keys_are_hex_or_base64_and_strong_or_refused() {
    let good = [
        "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3",
        "8D1E0F8F0A4F2D3B6C5A7E9180B2C4D6E8FA0C1E2D3F4A5B6C7D8E9FA0B1C2D3",
        "b5dGzYz1Zl0Yj6cC7xJ3q9Wm2Kf8Tn4Rv5Qs1Lp0Ahg=",
        "b5dGzYz1Zl0Yj6cC7xJ3q9Wm2Kf8Tn4Rv5Qs1Lp0Ahg",
        "b5dGzYz1Zl0Yj6cC7xJ3q9Wm-_f8Tn4Rv5Qs1Lp0Ahg",
        // Digits of hex alone, but an odd number of them.
        "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3",
        // 8 different bytes are as few as may be.
        "0001020304050607000102030405060700010203040506070001020304050607",
        " b5dGzYz1Zl0Yj6cC7xJ3q9Wm2Kf8Tn4Rv5Qs1Lp0Ahg= , 8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3",
    ];
    for keys in good {
        assert!(SessionKeys::parse(keys).is_ok(), "{keys}");
    }
    let zeros = "00".repeat(32);
    let pattern = "deadbeef".repeat(8);
    let bad = [
        "",
        ",",
        "canary",
        "canary canary canary canary canary canary canary",
        "canary!!",
        "not-base-64-at-all-$$$",
        "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6",
        &zeros,
        &pattern,
        "0001020304050600000102030405060000010203040506000001020304050600",
        "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2",
        "不是密钥不是密钥不是密钥不是密钥",
        "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3,",
        "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3,short",
    ];
    for keys in bad {
        assert_refused(SessionKeys::parse(keys), "QQ_SESSION_KEY");
    }
    assert_refused(SessionKeys::new(b"canary"), "QQ_SESSION_KEY");
}

#[test]
fn paths_and_limits_that_cannot_work_are_refused() {
    let layer = || site::layer(&site::qq());
    for path in [
        "", "/", "login", "//", "/a b", "/a?b", "/a#b", "/中", "/a\n", "/a\"b",
    ] {
        if path != "//" {
            assert_refused(layer().login_path(path), "login path");
            assert_refused(layer().logout_path(path), "logout path");
        }
    }
    for path in ["//evil.example", "/a/../b", "/%2e%2e/x", "/a//b", "/a%2fb"] {
        assert_refused(layer().login_path(path), "login path");
        assert_refused(layer().logout_path(path), "logout path");
    }
    assert_refused(layer().login_path("/auth/qq/logout"), "login path");
    assert_refused(layer().login_path("/auth/qq/callback"), "login path");
    assert_refused(layer().logout_path("/auth/qq/login"), "logout path");
    assert_refused(
        layer().session_idle(Duration::from_secs(59)),
        "session idle",
    );
    assert_refused(layer().session_lifetime(Duration::ZERO), "session lifetime");
    assert_refused(layer().max_logins_in_flight(0), "logins in flight");
    assert_refused(layer().max_logins_in_flight(usize::MAX), "logins in flight");
}

#[test]
fn debug_of_what_holds_a_secret_does_not_show_it() {
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        site::app(),
        site::keys(),
        site::layer(&site::qq()),
        tower_qq_auth::QqClient::with_service(site::app(), site::qq()),
    );
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("[redacted]"));
}
