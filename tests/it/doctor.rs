//! The doctor's findings in a configuration, and its advice.

mod internet;
mod proxies;
#[cfg(feature = "redis")]
mod redis_url;
mod site;

use std::time::{Duration, SystemTime};

use http::{Response, StatusCode};
use tokio::{net::TcpListener, task::JoinHandle};
use tower_qq_auth::mock::{Endpoint, Fault, MockQq};

use crate::{
    process::{Running, example, free_address},
    site::{APP_ID, APP_KEY, CALLBACK},
};

const SESSION_KEY: &str = "d74f4ddb5436e05cfb99cbbbfdc5b396b1d53f822f9dd38220861e221ce177be";

/// Runs the doctor and returns its report, which must agree with its exit code and hide secrets.
async fn doctor(environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let mut command = example("qq-doctor", environment);
    let output = command.args(arguments).output().await.unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let count = |severity: &str| {
        let lines = report.lines().filter(|line| line.starts_with(severity));
        lines.count()
    };
    let (errors, warnings) = (count("error  "), count("warning  "));
    if !environment.iter().any(|(_, value)| value.starts_with("zh")) {
        let end = format!("errors: {errors}, warnings: {warnings}\n");
        assert!(report.ends_with(&end), "{report}");
        assert_eq!(
            count("ok  ") + errors + warnings + 1,
            report.lines().count(),
            "{report}"
        );
        assert_eq!(
            report.matches(" -> ").count(),
            errors + warnings,
            "{report}"
        );
        assert_eq!(
            output.status.code(),
            Some(i32::from(errors > 0)),
            "{report}"
        );
    }
    let is_control = |char: char| char.is_control() && char != '\n';
    assert!(!report.contains(is_control), "{report:?}");
    let keys = environment
        .iter()
        .filter(|(name, _)| *name == "QQ_SESSION_KEY");
    let keys = keys.flat_map(|(_, keys)| keys.split(',').map(str::trim));
    for secret in keys.chain([APP_KEY, "canary"]).filter(|it| !it.is_empty()) {
        assert!(!report.contains(secret), "{report}");
    }
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    report
}

/// A mock QQ on a local port.
struct Qq {
    url: String,
    server: JoinHandle<()>,
}

impl Qq {
    async fn serve(qq: MockQq) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let _ = qq.serve(listener).await;
        });
        Self { url, server }
    }
}

impl Drop for Qq {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Runs the doctor for the app of the tests at this mock.
async fn doctor_at(qq: &MockQq) -> String {
    let served = Qq::serve(qq.clone()).await;
    doctor(&environment(&served.url), &[]).await
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

fn with<'a>(
    environment: [(&'a str, &'a str); 5],
    name: &'a str,
    value: &'a str,
) -> Vec<(&'a str, &'a str)> {
    let others = environment.into_iter().filter(|(other, _)| *other != name);
    others.chain([(name, value)]).collect()
}

/// Fails unless a line has this severity, finding and advice.
#[track_caller]
fn assert_finding(report: &str, severity: &str, finding: &str, advice: &str) {
    let mut lines = report.lines().filter(|line| line.starts_with(severity));
    let is_found = lines.any(|line| {
        let (found, advised) = line.split_once(" -> ").unwrap_or((line, ""));
        found.contains(finding) && advised.contains(advice)
    });
    assert!(
        is_found,
        "no {severity} {finding:?} -> {advice:?} in\n{report}"
    );
}

/// Fails unless exactly one thing is wrong, with this finding and this advice.
#[track_caller]
fn assert_wrong(report: &str, finding: &str, advice: &str) {
    assert_finding(report, "error", finding, advice);
    assert!(report.contains("\nerrors: 1, "), "{report}");
}

fn mock() -> MockQq {
    MockQq::new(APP_ID, APP_KEY, CALLBACK)
}

#[tokio::test]
async fn finds_nothing_wrong_in_a_correct_configuration() {
    let qq = mock();
    let report = doctor_at(&qq).await;
    for (check, finding) in [
        ("settings", CALLBACK),
        ("session key", "hex, 32 bytes"),
        ("network", "(login page)"),
        ("network", "(token)"),
        ("clock", "s off"),
        ("login page", "for this app id and redirect URI"),
        ("app key", "accepts app id and key"),
    ] {
        assert_finding(&report, &format!("ok       {check}"), finding, "");
    }
    assert!(report.contains("\nerrors: 0, "), "{report}");
}

#[tokio::test]
async fn asks_for_a_token_without_a_code_and_calls_nothing_else() {
    let qq = mock();
    doctor_at(&qq).await;
    let [login, token] = &qq.journal()[..] else {
        panic!("{:?}", qq.journal());
    };
    assert_eq!(
        (login.endpoint, token.endpoint),
        (Endpoint::Authorize, Endpoint::Token)
    );
    assert_eq!(token.param("code"), None);
    assert_eq!(token.param("client_secret"), Some(APP_KEY));
    assert_eq!(token.param("grant_type"), Some("authorization_code"));
}

#[tokio::test]
async fn checks_the_quickstart_and_its_mock() {
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
    for arguments in [&["--site"][..], &[&site]] {
        let report = doctor(&environment, arguments).await;
        assert!(report.contains("\nerrors: 0, "), "{report}");
        assert_finding(&report, "ok", "its login redirects to QQ", "");
    }
}

#[tokio::test]
async fn warns_of_a_callback_that_cannot_be_registered() {
    for (callback, finding) in [
        ("https://www.example.com/auth/qq/callback", None),
        (
            "https://www.example.com:8443/auth/qq/callback",
            Some("port"),
        ),
        (
            "https://localhost/auth/qq/callback",
            Some("localhost or an IP"),
        ),
        (
            "https://203.0.113.7/auth/qq/callback",
            Some("localhost or an IP"),
        ),
        (
            "https://[2001:db8::7]/auth/qq/callback",
            Some("localhost or an IP"),
        ),
        (
            "https://www.example.com/auth/qq/callback/",
            Some("ends in `/`"),
        ),
    ] {
        let environment = environment("http://127.0.0.1:9");
        let report = doctor(&with(environment, "QQ_REDIRECT_URI", callback), &[]).await;
        match finding {
            Some(finding) => assert_finding(&report, "warning", finding, "refuses it (100010)"),
            None => assert!(!report.contains("100010"), "{report}"),
        }
    }
}

#[tokio::test]
async fn names_the_host_of_a_base_url_that_is_not_qq() {
    let url = "https://qq-proxy.invalid/base";
    let report = doctor(&environment(url), &[]).await;
    let finding = "QQ_BASE_URL is set: logins go to qq-proxy.invalid, not to QQ";
    assert_finding(&report, "warning", finding, "unset it");

    // Below, no proxy answers, so that the real QQ is not called.
    for url in ["https://graph.qq.com", "https://graph.qq.com/", ""] {
        let mut environment = environment(url).to_vec();
        environment.push(("HTTPS_PROXY", "http://127.0.0.1:1"));
        let report = doctor(&environment, &[]).await;
        assert!(!report.contains("QQ_BASE_URL is set"), "{report}");
    }

    let callback = "http://localhost:3000/auth/qq/callback";
    let environment = environment("http://127.0.0.1:9");
    let report = doctor(&with(environment, "QQ_REDIRECT_URI", callback), &[]).await;
    assert_finding(&report, "ok", "logins go to 127.0.0.1", "");
}

#[tokio::test]
async fn judges_the_redirect_of_the_login_page() {
    const REGISTER: &str = "register exactly https://site.example/auth/qq/callback";
    for (location, finding, advice) in [
        // As QQ sends them.
        (
            "/oauth2.0/show?which=Login&display=pc&client_id=101905280&state=1baaec",
            "",
            "",
        ),
        (
            "/oauth2.0/show?which=error&display=pc&error=100010&auth_time=1642200000000&",
            "100010",
            REGISTER,
        ),
        (
            "/oauth2.0/show?error=100010&which=error",
            "100010",
            REGISTER,
        ),
        (
            "/oauth2.0/show?error=100008&display=pc",
            "100008",
            "compare QQ_APP_ID",
        ),
        (
            "/oauth2.0/show?which=error&error=100046",
            "100046",
            "in some minutes",
        ),
        (
            "/oauth2.0/show?which=error&error=110406",
            "110406",
            "submit the app for review",
        ),
        (
            "/oauth2.0/show?which=error&error=4711",
            "4711: an unknown number",
            "try again",
        ),
        (
            "/oauth2.0/show?which=error",
            "without a number",
            "open the login page",
        ),
        (
            "/oauth2.0/show?error=%1b%5b2J&which=error",
            "without a number",
            "connect.qq.com",
        ),
        ("/oauth2.0/show?which=Login&error=0", "", ""),
        (
            "/oauth2.0/show?which=Login&redirect_uri=https%3A%2F%2Fa.example%2F%3Ferror%3D1",
            "",
            "",
        ),
        ("https://graph.qq.com/oauth2.0/show?which=Login", "", ""),
        (
            "https://graph.qq.com/oauth2.0/show?error=100010&which=error",
            "100010",
            REGISTER,
        ),
    ] {
        let redirect = Response::builder().status(302).header("location", location);
        let qq = mock();
        qq.fault(Endpoint::Authorize, 1, redirect.body("").unwrap());
        let report = doctor_at(&qq).await;
        if finding.is_empty() {
            assert_finding(&report, "ok       login page", "", "");
            assert!(report.contains("\nerrors: 0, "), "{location}\n{report}");
        } else {
            assert_wrong(&report, finding, advice);
        }
    }
}

#[tokio::test]
async fn warns_of_a_redirect_that_qq_does_not_send() {
    let redirect = Response::builder().status(302);
    let redirect = redirect.header("location", "https://portal.example/?canary");
    let qq = mock();
    qq.fault(Endpoint::Authorize, 1, redirect.body("").unwrap());
    let report = doctor_at(&qq).await;
    assert_finding(
        &report,
        "warning",
        "redirects to portal.example",
        "QQ_BASE_URL",
    );
}

#[tokio::test]
async fn judges_the_reply_to_a_token_call_without_a_code() {
    const KEY: &str = "compare QQ_APP_KEY with the APP Key";
    const ID: &str = "compare QQ_APP_ID with the APP ID";
    for (reply, finding, advice) in [
        (
            r#"{"error":100005,"error_description":"param code is wrong or lost "}"#,
            "",
            "",
        ),
        (
            "callback( {\"error\":100005,\"error_description\":\"param code is wrong or lost \"} );\n",
            "",
            "",
        ),
        (
            r#"{"error":"100009","error_description":"client secret is illegal"}"#,
            "100009",
            KEY,
        ),
        (r#"{"error":100001,"error_description":""}"#, "100001", ID),
        (r#"{"error":100008,"error_description":""}"#, "100008", ID),
        (
            r#"{"error":100010,"error_description":""}"#,
            "100010",
            "register exactly",
        ),
        (
            r#"{"error":100011,"error_description":""}"#,
            "100011",
            "submit the app for review",
        ),
        (
            r#"{"error":4711,"error_description":"\u001b[2J canary"}"#,
            "4711",
            "try again",
        ),
        (
            "<html>Welcome to our hotel canary",
            "qq_unavailable",
            "QQ_BASE_URL",
        ),
        (
            r#"{"access_token":"canary","expires_in":"1","openid":"0"}"#,
            "this is not QQ",
            "QQ_BASE_URL",
        ),
    ] {
        let qq = mock();
        qq.reply(Endpoint::Token, reply);
        let report = doctor_at(&qq).await;
        assert_eq!(qq.calls(Endpoint::UserInfo), 0);
        if finding.is_empty() {
            assert_finding(&report, "ok       app key", "accepts app id and key", "");
        } else {
            assert_wrong(&report, finding, advice);
        }
    }
}

#[tokio::test]
async fn distinguishes_a_wrong_app_key_from_a_wrong_app_id() {
    let report = doctor_at(&MockQq::new(APP_ID, "another", CALLBACK)).await;
    assert_wrong(&report, "100009", "compare QQ_APP_KEY");
    let report = doctor_at(&MockQq::new("1", APP_KEY, CALLBACK)).await;
    assert_finding(&report, "error    app key", "100008", "compare QQ_APP_ID");
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
        let qq = mock();
        let page = Response::builder().header("date", date).body("").unwrap();
        let report = doctor_at(qq.fault(Endpoint::Authorize, 1, page)).await;
        match is_wrong {
            true => assert_wrong(&report, " s off", "NTP"),
            false => assert_finding(&report, "warning  clock", " s off", "NTP"),
        }
    }
}

#[tokio::test]
async fn judges_slow_calls_by_the_limits_of_a_login() {
    let slow = Fault::Latency(Duration::from_millis(1200));
    let slow_page = mock();
    slow_page.fault(Endpoint::Authorize, 1, slow.clone());
    let slow_token = mock();
    slow_token.fault(Endpoint::Token, 1, slow);
    let silent_page = mock();
    silent_page.fault(Endpoint::Authorize, 1, Fault::Silence);
    let silent_token = mock();
    silent_token.fault(Endpoint::Token, 1, Fault::Silence);
    let [slow_page, slow_token, silent_page, silent_token] = tokio::join!(
        doctor_at(&slow_page),
        doctor_at(&slow_token),
        doctor_at(&silent_page),
        doctor_at(&silent_token),
    )
    .into();
    assert_finding(
        &slow_page,
        "warning  network",
        "ms (login page)",
        "call_timeout",
    );
    assert_finding(&slow_page, "ok       network", "ms (token)", "");
    assert_finding(&slow_token, "ok       network", "ms (login page)", "");
    assert_finding(
        &slow_token,
        "warning  network",
        "ms (token)",
        "call_timeout",
    );
    assert_wrong(&silent_page, "no answer within 5 s", "firewall");
    assert_wrong(&silent_token, "no answer within 5 s", "firewall");
}

#[tokio::test]
async fn reports_a_server_that_is_down_or_not_qq_as_a_network_problem() {
    let closed = format!("http://{}", free_address());
    let report = doctor(&environment(&closed), &[]).await;
    assert_wrong(&report, "Connection refused", "QQ_BASE_URL");

    let qq = mock();
    qq.fault(
        Endpoint::Authorize,
        1,
        Fault::Status(StatusCode::BAD_GATEWAY),
    );
    assert_wrong(&doctor_at(&qq).await, "status 502", "QQ_BASE_URL");

    let unresolvable = format!("https://{}.example", "q".repeat(64));
    let report = doctor(&environment(&unresolvable), &[]).await;
    assert_wrong(&report, "no response from qqq", "DNS");
}

#[tokio::test]
async fn says_how_each_session_key_was_read() {
    const BASE64: &str = "BoUENbr0w4Lkv+117vmjRBC7kKPQZuKvb+jEwIKGPJc=";
    let odd = &SESSION_KEY[1..];
    let mistyped = format!("{odd}O");
    let two = format!("{SESSION_KEY}, {BASE64}");
    for (key, reading) in [
        (SESSION_KEY, "hex, 32 bytes"),
        (BASE64, "base64, 32 bytes"),
        (
            &two,
            "2 keys, the first one seals: hex, 32 bytes; base64, 32 bytes",
        ),
        (
            odd,
            "hex with a mistake: 63 hex digits and 0 other characters",
        ),
        (
            &mistyped,
            "hex with a mistake: 63 hex digits and 1 other characters",
        ),
        ("8d1e0f8f0a4f2d3b", "is too short"),
        ("8d1e0f8f0a4f2d3b", "(hex, 8 bytes)"),
        ("not a key", "(neither hex nor base64)"),
    ] {
        let environment = environment("http://127.0.0.1:9");
        let report = doctor(&with(environment, "QQ_SESSION_KEY", key), &[]).await;
        let line = report.lines().find(|line| line.contains(" session key "));
        assert!(line.is_some_and(|line| line.contains(reading)), "{report}");
        let is_good = [SESSION_KEY, BASE64, &two].contains(&key);
        let severity = if is_good { "ok" } else { "error" };
        assert_finding(&report, severity, reading, "");
    }
}

#[tokio::test]
async fn reports_every_missing_or_malformed_setting_in_one_run() {
    let report = doctor(&[], &[]).await;
    for name in [
        "QQ_APP_ID",
        "QQ_APP_KEY",
        "QQ_REDIRECT_URI",
        "QQ_SESSION_KEY",
    ] {
        assert_finding(&report, "error", &format!("({name}) is not set"), "");
    }
    assert!(report.contains("\nerrors: 4, "), "{report}");

    let malformed = [
        ("QQ_APP_ID", "my-app"),
        ("QQ_APP_KEY", "canary canary"),
        ("QQ_REDIRECT_URI", "http://site.example/cb"),
        ("QQ_SESSION_KEY", "canary"),
        ("QQ_BASE_URL", "http://qq.example"),
    ];
    let report = doctor(&malformed, &[]).await;
    assert!(report.contains("\nerrors: 5, "), "{report}");
    for (_, value) in malformed.iter().filter(|it| !it.1.contains("canary")) {
        assert_finding(&report, "error", value, "");
    }

    let mut files = environment("http://127.0.0.1:9").to_vec();
    files.push(("QQ_APP_KEY_FILE", "/nonexistent/key"));
    let report = doctor(&files, &[]).await;
    assert_wrong(&report, "is set twice", "QQ_APP_KEY_FILE");
    files.retain(|(name, _)| *name != "QQ_APP_KEY");
    let unreadable = "cannot be read (No such file or directory";
    assert_wrong(&doctor(&files, &[]).await, unreadable, "QQ_APP_KEY_FILE");

    let mut files = environment("http://127.0.0.1:9").to_vec();
    files.retain(|(name, _)| *name != "QQ_SESSION_KEY");
    files.push(("QQ_SESSION_KEY_FILE", "/nonexistent/key"));
    let report = doctor(&files, &[]).await;
    assert_finding(&report, "error", unreadable, "QQ_SESSION_KEY_FILE");
    let path = std::env::temp_dir().join(format!("tower-qq-auth-doctor-{}", std::process::id()));
    std::fs::write(&path, format!("{SESSION_KEY}\n")).unwrap();
    files.pop();
    files.push(("QQ_SESSION_KEY_FILE", path.to_str().unwrap()));
    let report = doctor(&files, &[]).await;
    assert_finding(&report, "ok", "hex, 32 bytes", "");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn speaks_the_language_of_the_locale() {
    for (locale, is_chinese) in [
        (&[("LANG", "zh_CN.UTF-8")][..], true),
        (&[("LANG", "zh")], true),
        (&[("LANG", "en_US.UTF-8")], false),
        (
            &[("LC_MESSAGES", "zh_TW.UTF-8"), ("LANG", "en_US.UTF-8")],
            true,
        ),
        (
            &[("LC_ALL", "C"), ("LC_MESSAGES", "zh_CN"), ("LANG", "zh_CN")],
            false,
        ),
        (&[("LC_ALL", ""), ("LANG", "zh_CN.UTF-8")], true),
        (&[("LC_ALL", "zh_CN.UTF-8"), ("LANG", "C")], true),
        (&[], false),
    ] {
        let output = example("qq-doctor", locale).output().await.unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        let (missing, end) = match is_chinese {
            true => ("没有设置 QQ_APP_ID -> ", "\n错误 4 项，警告 0 项\n"),
            false => ("(QQ_APP_ID) is not set -> ", "\nerrors: 4, warnings: 0\n"),
        };
        assert!(
            report.contains(missing) && report.ends_with(end),
            "{locale:?} {report}"
        );
        assert_eq!(output.status.code(), Some(1));
    }
    let qq = Qq::serve(mock()).await;
    let mut environment = environment(&qq.url).to_vec();
    environment.push(("LANG", "zh_CN.UTF-8"));
    let report = doctor(&environment, &[]).await;
    assert!(report.contains("正常     APP Key      QQ 接受"), "{report}");
    assert!(report.ends_with("错误 0 项，警告 1 项\n"), "{report}");
}

#[tokio::test]
async fn explains_its_command_line() {
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--unknown"], 1),
        (&["ftp://site.example"], 1),
        (&["https://user@site.example"], 1),
        (&["https://a.example", "https://b.example"], 1),
    ] {
        let output = example("qq-doctor", &[])
            .args(arguments)
            .output()
            .await
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.starts_with("usage: qq-doctor "), "{printed}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[cfg(not(feature = "redis"))]
#[tokio::test]
async fn says_that_it_cannot_check_redis_without_the_feature() {
    let report = doctor(&[("REDIS_URL", "redis://:canary@127.0.0.1:1")], &[]).await;
    assert_finding(
        &report,
        "warning  redis",
        "cannot check",
        "--features redis",
    );
}
