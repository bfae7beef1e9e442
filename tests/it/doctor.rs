//! The doctor's findings in a configuration, and its advice.

use std::time::{Duration, SystemTime};

use http::{Response, StatusCode};
use tokio::net::TcpListener;
use tower_qq_auth::mock::{Endpoint, Fault, MockQq};

use crate::{
    process::{Running, example},
    site::{APP_ID, APP_KEY, CALLBACK},
};

const SESSION_KEY: &str = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";

/// Runs the doctor and returns its report, which must agree with its exit code and hide secrets.
async fn doctor(environment: &[(&str, &str)]) -> String {
    let output = example("doctor", environment).output().await.unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let wrong = report
        .lines()
        .filter(|line| line.starts_with("WRONG"))
        .count();
    assert!(report.ends_with(&format!("{wrong} wrong\n")), "{report}");
    assert_eq!(output.status.code(), Some(i32::from(wrong > 0)), "{report}");
    let advice = report.lines().filter(|line| line.trim().starts_with("-> "));
    assert!(advice.count() >= wrong, "{report}");
    assert!(report.lines().count() < 20, "{report}");
    for secret in [APP_KEY, SESSION_KEY] {
        assert!(!report.contains(secret), "{report}");
    }
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    report
}

/// Runs the doctor for the app of the tests at this mock.
async fn doctor_at(qq: &MockQq) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(qq.clone().serve(listener));
    let report = doctor(&environment(&base_url)).await;
    server.abort();
    report
}

fn environment(base_url: &str) -> [(&str, &str); 5] {
    [
        ("QQ_APP_ID", APP_ID),
        ("QQ_APP_KEY", APP_KEY),
        ("QQ_REDIRECT_URI", CALLBACK),
        ("QQ_SESSION_KEY", SESSION_KEY),
        ("QQ_BASE_URL", base_url),
    ]
}

/// Fails unless exactly one thing is wrong, with this finding and this advice.
#[track_caller]
fn assert_wrong(report: &str, finding: &str, advice: &str) {
    let mut lines = report.lines().skip_while(|line| !line.starts_with("WRONG"));
    let (found, advised) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    assert!(
        found.contains(finding) && advised.contains(advice),
        "{report}"
    );
    assert!(report.ends_with("\n1 wrong\n"), "{report}");
}

#[tokio::test]
async fn finds_nothing_wrong_in_a_correct_configuration() {
    let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
    let report = doctor_at(&qq).await;
    assert!(
        report.ends_with(&format!("{CALLBACK}\n0 wrong\n")),
        "{report}"
    );
    for check in [
        "settings",
        "cookies",
        "network",
        "clock",
        "login page",
        "app key",
    ] {
        assert!(
            report
                .lines()
                .any(|line| line.starts_with(&format!("ok     {check}"))),
            "{report}"
        );
    }
    assert!(report.contains("__Host-qq_session"), "{report}");
    assert_eq!(
        (qq.calls(Endpoint::Authorize), qq.calls(Endpoint::Token)),
        (1, 1)
    );
}

#[tokio::test]
async fn checks_the_mock_of_the_quickstart() {
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
    let report = doctor(&environment).await;
    assert!(
        report.contains("note   cookies") && report.ends_with("\n0 wrong\n"),
        "{report}"
    );
}

#[tokio::test]
async fn notes_a_callback_that_cannot_be_registered() {
    for (callback, can_be_registered) in [
        ("https://www.example.com/auth/qq/callback", true),
        ("https://www.example.com:8443/auth/qq/callback", false),
        ("https://localhost/auth/qq/callback", false),
        ("https://203.0.113.7/auth/qq/callback", false),
        ("https://[2001:db8::7]/auth/qq/callback", false),
    ] {
        let mut environment = environment("http://127.0.0.1:9");
        let uri = environment.iter_mut().find(|it| it.0 == "QQ_REDIRECT_URI");
        uri.unwrap().1 = callback;
        let report = doctor(&environment).await;
        assert_eq!(
            !report.contains("note   settings"),
            can_be_registered,
            "{report}"
        );
    }
}

#[tokio::test]
async fn distinguishes_a_wrong_app_key_callback_and_app_id() {
    let report = doctor_at(&MockQq::new(APP_ID, "another", CALLBACK)).await;
    assert_wrong(&report, "100009", "compare QQ_APP_KEY");

    let report = doctor_at(&MockQq::new(APP_ID, APP_KEY, "https://other.example/cb")).await;
    assert_wrong(&report, "100010", &format!("register exactly {CALLBACK}"));

    let report = doctor_at(&MockQq::new("1", APP_KEY, CALLBACK)).await;
    assert_eq!(report.matches("100008").count(), 2, "{report}");
    assert!(report.contains("compare QQ_APP_ID"), "{report}");
}

#[tokio::test]
async fn reads_the_error_number_from_the_redirect_of_the_real_login_page() {
    let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
    let redirect_to = async |page: &str| {
        let url = format!("https://graph.qq.com/oauth2.0/show?which={page}&client_id=1");
        let redirect = Response::builder().status(302).header("location", url);
        qq.fault(Endpoint::Authorize, 1, redirect.body("").unwrap());
        doctor_at(&qq).await
    };
    let report = redirect_to("error&display=pc&error=100010").await;
    assert_wrong(&report, "100010", "register exactly");
    let report = redirect_to("Login&display=pc").await;
    assert!(
        report.contains("ok     login page") && report.ends_with("\n0 wrong\n"),
        "{report}"
    );
}

#[tokio::test]
async fn advises_to_submit_an_unapproved_app_for_review() {
    for code in [100011, 110406] {
        let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
        qq.fault(Endpoint::Token, 1, Fault::Code(code));
        let report = doctor_at(&qq).await;
        assert_wrong(&report, &code.to_string(), "submit the app for review");
    }
}

#[tokio::test]
async fn notes_a_clock_that_is_off_and_fails_one_that_is_far_off() {
    for (seconds, is_wrong) in [(30, false), (600, true), (-30, false), (-600, true)] {
        let now = SystemTime::now();
        let offset = Duration::from_secs(i64::unsigned_abs(seconds));
        let date = if seconds < 0 {
            now - offset
        } else {
            now + offset
        };
        let date = httpdate::fmt_http_date(date);
        let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
        let page = Response::builder().header("date", date).body("").unwrap();
        let report = doctor_at(qq.fault(Endpoint::Authorize, 1, page)).await;
        match is_wrong {
            true => assert_wrong(&report, " s off", "NTP"),
            false => assert!(report.contains("note   clock"), "{report}"),
        }
    }
}

#[tokio::test]
async fn reports_a_server_that_is_down_or_not_qq_as_a_network_problem() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let report = doctor(&environment(&closed)).await;
    assert_wrong(&report, "Connection refused", "QQ_BASE_URL");

    let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
    qq.fault(
        Endpoint::Authorize,
        1,
        Fault::Status(StatusCode::BAD_GATEWAY),
    );
    assert_wrong(&doctor_at(&qq).await, "status 502", "QQ_BASE_URL");
    qq.reply(Endpoint::Token, "<html>Welcome to our hotel");
    assert_wrong(&doctor_at(&qq).await, "qq_unavailable", "QQ_BASE_URL");
    let token = r#"{"access_token":"0","expires_in":"1","openid":"0"}"#;
    qq.reply(Endpoint::Token, token);
    assert_wrong(&doctor_at(&qq).await, "this is not QQ", "QQ_BASE_URL");
}

#[tokio::test]
async fn reports_every_missing_or_malformed_setting_in_one_run() {
    let report = doctor(&[]).await;
    for name in [
        "QQ_APP_ID",
        "QQ_APP_KEY",
        "QQ_REDIRECT_URI",
        "QQ_SESSION_KEY",
    ] {
        assert!(report.contains(&format!("({name}) is not set")), "{report}");
    }
    assert!(report.ends_with("\n4 wrong\n"), "{report}");

    let malformed = [
        ("QQ_APP_ID", "my-app"),
        ("QQ_APP_KEY", "canary canary"),
        ("QQ_REDIRECT_URI", "http://site.example/cb"),
        ("QQ_SESSION_KEY", "canary"),
        ("QQ_BASE_URL", "http://qq.example"),
    ];
    let report = doctor(&malformed).await;
    assert!(report.ends_with("\n5 wrong\n"), "{report}");
    for (name, value) in malformed {
        assert_eq!(
            report.contains(value),
            !value.contains("canary"),
            "only values that are no secret are shown: {report}"
        );
        let correct = environment("http://127.0.0.1:9").into_iter();
        let mut one: Vec<_> = correct.filter(|(other, _)| *other != name).collect();
        one.push((name, value));
        assert_wrong(&doctor(&one).await, name, "");
    }

    let mut files = environment("http://127.0.0.1:9").to_vec();
    files.push(("QQ_APP_KEY_FILE", "/nonexistent/key"));
    assert_wrong(&doctor(&files).await, "is set twice", "QQ_APP_KEY_FILE");
    files.retain(|(name, _)| *name != "QQ_APP_KEY");
    let unreadable = "cannot be read (No such file or directory";
    assert_wrong(&doctor(&files).await, unreadable, "QQ_APP_KEY_FILE");
}
