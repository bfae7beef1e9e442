//! The doctor: what it finds in a configuration, and what it says to do about it.

use std::time::{Duration, SystemTime};

use http::{Response, StatusCode};
use tokio::net::TcpListener;
use tower_qq_auth::mock::{Endpoint, Fault, MockQq};

use crate::{
    process::{Running, example},
    site::{APP_ID, APP_KEY, CALLBACK},
};

const SESSION_KEY: &str = "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3";

/// What it said; it must fail exactly if it says that something is wrong, and tell nothing that is secret.
async fn doctor(environment: &[(&str, &str)]) -> String {
    let output = example("doctor", environment).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let wrong = said
        .lines()
        .filter(|line| line.starts_with("WRONG"))
        .count();
    assert!(said.ends_with(&format!("{wrong} wrong\n")), "{said}");
    assert_eq!(output.status.code(), Some(i32::from(wrong > 0)), "{said}");
    let advised = said.lines().filter(|line| line.trim().starts_with("-> "));
    assert!(advised.count() >= wrong, "{said}");
    assert!(said.lines().count() < 20, "{said}");
    for secret in [APP_KEY, SESSION_KEY] {
        assert!(!said.contains(secret), "{said}");
    }
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    said
}

/// What it says of the app of the tests at this QQ.
async fn of(qq: &MockQq) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(qq.clone().serve(listener));
    let said = doctor(&configured(&base_url)).await;
    server.abort();
    said
}

fn configured(base_url: &str) -> [(&str, &str); 5] {
    [
        ("QQ_APP_ID", APP_ID),
        ("QQ_APP_KEY", APP_KEY),
        ("QQ_REDIRECT_URI", CALLBACK),
        ("QQ_SESSION_KEY", SESSION_KEY),
        ("QQ_BASE_URL", base_url),
    ]
}

/// One thing is wrong, which says this; and so does the advice.
#[track_caller]
fn assert_wrong(said: &str, found: &str, advice: &str) {
    let mut lines = said.lines().skip_while(|line| !line.starts_with("WRONG"));
    let (what, to_do) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    assert!(what.contains(found) && to_do.contains(advice), "{said}");
    assert!(said.ends_with("\n1 wrong\n"), "{said}");
}

#[tokio::test]
async fn nothing_is_wrong_with_a_right_configuration() {
    let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
    let said = of(&qq).await;
    assert!(said.ends_with(&format!("{CALLBACK}\n0 wrong\n")), "{said}");
    for what in [
        "settings",
        "cookies",
        "network",
        "clock",
        "login page",
        "app key",
    ] {
        assert!(
            said.lines()
                .any(|line| line.starts_with(&format!("ok     {what}")))
        );
    }
    assert!(said.contains("__Host-qq_session"), "{said}");
    assert_eq!(
        (qq.calls(Endpoint::Authorize), qq.calls(Endpoint::Token)),
        (1, 1)
    );
}

#[tokio::test]
async fn the_quickstart_is_a_qq_to_try_it_at() {
    let mut running = Running::start("quickstart", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    let (callback, base_url) = (format!("{site}auth/qq/callback"), format!("{site}mock-qq"));
    let environment = [
        ("QQ_APP_ID", "101905280"),
        ("QQ_APP_KEY", "made-up-app-key"),
        ("QQ_REDIRECT_URI", &callback),
        ("QQ_SESSION_KEY", SESSION_KEY),
        ("QQ_BASE_URL", &base_url),
    ];
    let said = doctor(&environment).await;
    assert!(
        said.contains("note   cookies") && said.ends_with("\n0 wrong\n"),
        "{said}"
    );
}

#[tokio::test]
async fn a_callback_that_cannot_be_registered_is_noted() {
    for (callback, can_be) in [
        ("https://www.example.com/auth/qq/callback", true),
        ("https://www.example.com:8443/auth/qq/callback", false),
        ("https://localhost/auth/qq/callback", false),
        ("https://203.0.113.7/auth/qq/callback", false),
        ("https://[2001:db8::7]/auth/qq/callback", false),
    ] {
        let mut environment = configured("http://127.0.0.1:9");
        let uri = environment.iter_mut().find(|it| it.0 == "QQ_REDIRECT_URI");
        uri.unwrap().1 = callback;
        let said = doctor(&environment).await;
        assert_eq!(!said.contains("note   settings"), can_be, "{said}");
    }
}

#[tokio::test]
async fn a_wrong_app_key_a_wrong_callback_and_a_wrong_app_id_are_told_apart() {
    let said = of(&MockQq::new(APP_ID, "another", CALLBACK)).await;
    assert_wrong(&said, "100009", "compare QQ_APP_KEY");

    let said = of(&MockQq::new(APP_ID, APP_KEY, "https://other.example/cb")).await;
    assert_wrong(&said, "100010", &format!("register exactly {CALLBACK}"));

    let said = of(&MockQq::new("1", APP_KEY, CALLBACK)).await;
    assert_eq!(said.matches("100008").count(), 2, "{said}");
    assert!(said.contains("compare QQ_APP_ID"), "{said}");
}

#[tokio::test]
async fn the_real_login_page_says_by_a_redirect_what_is_wrong() {
    let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
    let page = async |place: &str| {
        let place = format!("https://graph.qq.com/oauth2.0/show?which={place}&client_id=1");
        let redirect = Response::builder().status(302).header("location", place);
        qq.fault(Endpoint::Authorize, 1, redirect.body("").unwrap());
        of(&qq).await
    };
    let said = page("error&display=pc&error=100010").await;
    assert_wrong(&said, "100010", "register exactly");
    let said = page("Login&display=pc").await;
    assert!(
        said.contains("ok     login page") && said.ends_with("\n0 wrong\n"),
        "{said}"
    );
}

#[tokio::test]
async fn an_app_that_is_not_approved_is_told_from_a_wrong_one() {
    for code in [100011, 110406] {
        let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
        qq.fault(Endpoint::Token, 1, Fault::Code(code));
        assert_wrong(
            &of(&qq).await,
            &code.to_string(),
            "submit the app for review",
        );
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_noted_or_wrong() {
    for (seconds, wrong) in [(30, false), (600, true), (-30, false), (-600, true)] {
        let now = SystemTime::now();
        let off = Duration::from_secs(i64::unsigned_abs(seconds));
        let date = if seconds < 0 { now - off } else { now + off };
        let date = httpdate::fmt_http_date(date);
        let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
        let page = Response::builder().header("date", date).body("").unwrap();
        let said = of(qq.fault(Endpoint::Authorize, 1, page)).await;
        match wrong {
            true => assert_wrong(&said, " s off", "NTP"),
            false => assert!(said.contains("note   clock"), "{said}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_qq_is_a_matter_of_the_network() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let said = doctor(&configured(&nobody)).await;
    assert_wrong(&said, "Connection refused", "QQ_BASE_URL");

    let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
    qq.fault(
        Endpoint::Authorize,
        1,
        Fault::Status(StatusCode::BAD_GATEWAY),
    );
    assert_wrong(&of(&qq).await, "status 502", "QQ_BASE_URL");
    qq.reply(Endpoint::Token, "<html>Welcome to our hotel");
    assert_wrong(&of(&qq).await, "qq_unavailable", "QQ_BASE_URL");
    let token = r#"{"access_token":"0","expires_in":"1","openid":"0"}"#;
    qq.reply(Endpoint::Token, token);
    assert_wrong(&of(&qq).await, "this is no QQ", "QQ_BASE_URL");
}

#[tokio::test]
async fn every_setting_that_is_missing_or_malformed_is_told_in_one_run() {
    let said = doctor(&[]).await;
    for name in [
        "QQ_APP_ID",
        "QQ_APP_KEY",
        "QQ_REDIRECT_URI",
        "QQ_SESSION_KEY",
    ] {
        assert!(said.contains(&format!("{name} is not set")), "{said}");
    }
    assert!(said.ends_with("\n4 wrong\n"), "{said}");

    let malformed = [
        ("QQ_APP_ID", "canary"),
        ("QQ_APP_KEY", "canary canary"),
        ("QQ_REDIRECT_URI", "http://canary.example/cb"),
        ("QQ_SESSION_KEY", "canary"),
        ("QQ_BASE_URL", "http://canary.example"),
    ];
    let said = doctor(&malformed).await;
    assert!(said.ends_with("\n5 wrong\n"), "{said}");
    assert!(!said.contains("canary"), "{said}");
    for (name, value) in malformed {
        let right = configured("http://127.0.0.1:9").into_iter();
        let mut one: Vec<_> = right.filter(|(other, _)| *other != name).collect();
        one.push((name, value));
        assert_wrong(&doctor(&one).await, name, "");
    }

    let mut files = configured("http://127.0.0.1:9").to_vec();
    files.push(("QQ_APP_KEY_FILE", "/nonexistent/canary"));
    assert_wrong(&doctor(&files).await, "given twice", "QQ_APP_KEY_FILE");
    files.retain(|(name, _)| *name != "QQ_APP_KEY");
    let unreadable = "cannot be read: entity not found";
    assert_wrong(&doctor(&files).await, unreadable, "QQ_APP_KEY_FILE");
}
