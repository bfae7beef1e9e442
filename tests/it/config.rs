//! Settings of apps, layers and session keys: accepted values, rejected values and their errors.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    process::{Command, id},
    time::Duration,
};

use proptest::prelude::*;
use tower_qq_auth::{ConfigError, Language, QqApp, QqAuthLayer, SessionKeys, html::login_button};

use crate::site::{self, APP_ID, APP_KEY, CALLBACK};

const SESSION_KEY: &str = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";

const ID: &str = "app id (QQ_APP_ID)";
const KEY: &str = "app key (QQ_APP_KEY)";
const REDIRECT_URI: &str = "redirect URI (QQ_REDIRECT_URI)";
const BASE_URL: &str = "base URL (QQ_BASE_URL)";

/// Returns the error text after checks that hold for every error of a single setting.
#[track_caller]
fn error_text<T>(outcome: Result<T, ConfigError>, setting: &str) -> String {
    let Err(error) = outcome else {
        panic!("{setting} was accepted")
    };
    let text = error.to_string();
    assert_eq!(format!("{error:?}"), text);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(setting), "{text}");
    assert!(!text.contains("canary"), "{text}");
    assert!(!text.ends_with('.'), "{text}");
    text
}

/// Fails unless the error names the setting and shows the rejected value.
#[track_caller]
fn assert_rejected<T>(outcome: Result<T, ConfigError>, setting: &str, value: &str) {
    let text = error_text(outcome, setting);
    let shown = format!("{value:?}");
    assert!(value.is_empty() || text.contains(&shown), "{text}");
    assert!(text.replace(&shown, "").is_ascii(), "{text}");
}

/// Fails unless the error names the setting and does not show its value, which holds "canary".
#[track_caller]
fn assert_secret_rejected<T>(outcome: Result<T, ConfigError>, setting: &str) {
    let text = error_text(outcome, setting);
    assert!(text.is_ascii(), "{text}");
}

/// Fails unless the text is one line for each of these settings, which shows this part of the
/// value.
#[track_caller]
fn assert_lines(text: &str, expected: &[(&str, &str)]) {
    assert_eq!(text.lines().count(), expected.len(), "{text}");
    for (setting, shown) in expected {
        let mut lines = text.lines().filter(|line| line.starts_with(setting));
        let line = lines.next().unwrap_or_else(|| panic!("{setting}: {text}"));
        assert!(line.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn rejects_invalid_app_settings_and_names_them() {
    for id in ["", "garbage", "10190528O", "-1", "1 2", &"1".repeat(21)] {
        assert_rejected(QqApp::new(id, APP_KEY, CALLBACK), ID, id);
    }
    for key in ["", "canary key", "canary\n", "canary\u{4e2d}"] {
        assert_secret_rejected(QqApp::new(APP_ID, key, CALLBACK), KEY);
    }
    let uris = [
        "",
        "garbage",
        "/auth/qq/callback",
        "site.example/auth",
        "ftp://site.example/x",
        "https://",
        "https:///x",
        "http://site.example/auth/qq/callback",
        "http://127.0.0.1.evil.example/x",
        "http://localhost.evil.example/x",
        "http://notlocalhost/x",
        "http://0.0.0.0/x",
        "https://site.example/x#y",
        "https://site.example",
        "https://site.example/",
        "https://site.example/?a=b",
        "https://site.example/中",
        "https://site.example/a/../cb",
        "https://site.example/%2e%2E/cb",
        "https://site.example//cb",
        "https://site.example/auth/qq/login",
        "https://site.example/auth/qq/logout",
        "https://site.example/cb?state=garbage",
        "https://site.example/cb?a=b&code=garbage",
        "https://site.example/cb?a=b&c%6fde=garbage",
        "https://site.example/{cb}",
        "https://site.example/a\\cb",
        "https://site.example/\"cb",
        "https://site.example:/cb",
        "https://site.example:99999/cb",
    ];
    for uri in uris {
        assert_rejected(QqApp::new(APP_ID, APP_KEY, uri), REDIRECT_URI, uri);
    }
    let long = format!("https://site.example/{}", "x".repeat(460));
    let text = error_text(QqApp::new(APP_ID, APP_KEY, &long), REDIRECT_URI);
    assert!(text.contains("\"https://site.example/xxx"), "{text}");
    for password in [
        "https://user:canary@site.example/x",
        "https://user:canary＠site.example/x",
    ] {
        assert_secret_rejected(QqApp::new(APP_ID, APP_KEY, password), REDIRECT_URI);
    }
    let key = "canary4e5f60718293a4b5c6d7e8f901";
    assert_secret_rejected(QqApp::new(key, APP_KEY, CALLBACK), ID);
    assert_secret_rejected(QqApp::new(APP_ID, APP_KEY, key), REDIRECT_URI);
    let builder = QqApp::builder(key, APP_KEY, "https://user:canary@site.example/x");
    assert!(!format!("{builder:?}").contains("canary"), "{builder:?}");

    let app = site::app_builder;
    for url in ["", "garbage", "http://graph.qq.com", "file:///x"] {
        assert_rejected(app().base_url(url).build(), BASE_URL, url);
    }
    for end in ["?token=canary", "/#canary"] {
        let url = format!("https://graph.qq.com{end}");
        assert_secret_rejected(app().base_url(url).build(), BASE_URL);
    }
    for scope in ["", "get user info"] {
        assert_rejected(app().scope(scope).build(), "scope", scope);
    }
    let zero = Duration::ZERO;
    error_text(app().call_timeout(zero).build(), "call timeout");
    error_text(app().login_timeout(zero).build(), "login timeout");
}

#[test]
fn accepts_valid_app_settings() {
    for uri in [
        CALLBACK,
        "https://site.example:8443/cb",
        "https://site.example/cb?tenant=7&c%6fdes=x",
        "http://localhost:3000/cb",
        "http://LOCALHOST/cb",
        "http://site-a.localhost:3000/cb",
        "http://127.0.0.1:3000/cb",
        "http://127.8.9.1/cb",
        "http://[::1]:3000/cb",
    ] {
        assert_eq!(
            QqApp::new(APP_ID, APP_KEY, uri).unwrap().redirect_uri(),
            uri
        );
    }
    for url in [
        "https://graph.qq.com/",
        "https://proxy.example/qq",
        "http://127.0.0.1:9/",
        "http://[::1]:9",
    ] {
        assert!(site::app_builder().base_url(url).build().is_ok(), "{url}");
    }
}

#[test]
fn plain_http_redirect_uris_need_the_danger_setting() {
    let lan = "http://10.0.0.7:8080/cb";
    let app = |uri: &str| QqApp::builder(APP_ID, APP_KEY, uri);
    assert_rejected(app(lan).build(), REDIRECT_URI, lan);
    let allowed = app(lan).danger_allow_plain_http().build().unwrap();
    assert_eq!(allowed.redirect_uri(), lan);
    for uri in ["http://10.0.0.7/cb#x", "ftp://10.0.0.7/cb", "http://"] {
        assert_rejected(
            app(uri).danger_allow_plain_http().build(),
            REDIRECT_URI,
            uri,
        );
    }
    let url = "http://graph.qq.com";
    let app = app(lan).danger_allow_plain_http().base_url(url);
    assert_rejected(app.build(), BASE_URL, url);
}

#[test]
fn building_an_app_reports_all_wrong_settings_at_once() {
    let redirect_uri = "http://site.example/auth/qq/callback";
    let app = QqApp::builder("10190528O", "canary key", redirect_uri)
        .base_url("http://graph.qq.com")
        .scope("get user info")
        .call_timeout(Duration::from_secs(7200))
        .login_timeout(Duration::from_secs(7300));
    let error = app.build().unwrap_err();
    assert_lines(
        &error.to_string(),
        &[
            (ID, "\"10190528O\""),
            (KEY, ""),
            (REDIRECT_URI, "\"http://site.example/auth/qq/callback\""),
            (BASE_URL, "\"http://graph.qq.com\""),
            ("scope", "\"get user info\""),
            ("call timeout", "7200"),
            ("login timeout", "7300"),
        ],
    );
    assert_eq!(format!("{error:?}"), error.to_string());

    let error = QqApp::new("10190528O", "canary key", "garbage").unwrap_err();
    assert_lines(
        &error.to_string(),
        &[
            (ID, "\"10190528O\""),
            (KEY, ""),
            (REDIRECT_URI, "\"garbage\""),
        ],
    );
}

#[test]
fn rejects_invalid_layer_settings_and_names_them() {
    let layer = || site::builder(&site::qq());
    for path in [
        "",
        "/",
        "login",
        "/a b",
        "/a?b",
        "/a#b",
        "/中",
        "/a\n",
        "/a\"b",
        "//evil.example",
        "/a/../b",
        "/%2e%2e/x",
        "/a//b",
        "/a%2fb",
    ] {
        assert_rejected(layer().login_path(path).build(), "login path", path);
        assert_rejected(layer().logout_path(path).build(), "logout path", path);
    }
    for path in ["/auth/qq/logout", "/auth/qq/callback"] {
        assert_rejected(layer().login_path(path).build(), "login path", path);
    }
    let path = "/auth/qq/login";
    assert_rejected(layer().logout_path(path).build(), "logout path", path);
    for prefix in ["", "QQ", "a_b", "a b", "中", &"a".repeat(33)] {
        assert_rejected(
            layer().cookie_prefix(prefix).build(),
            "cookie prefix",
            prefix,
        );
    }
    error_text(
        layer().session_idle(Duration::from_secs(59)).build(),
        "session idle",
    );
    error_text(
        layer().session_lifetime(Duration::ZERO).build(),
        "session lifetime",
    );
    for limit in [0, usize::MAX] {
        error_text(
            layer().max_logins_in_flight(limit).build(),
            "logins in flight",
        );
    }
}

#[test]
fn building_a_layer_reports_all_wrong_settings_at_once() {
    let layer = site::builder(&site::qq())
        .login_path("/a b")
        .logout_path("logout")
        .cookie_prefix("QQ")
        .session_idle(Duration::from_secs(59))
        .session_lifetime(Duration::from_secs(58))
        .max_logins_in_flight(usize::MAX);
    let error = layer.build().unwrap_err();
    let text = error.to_string();
    assert_eq!(format!("{error:?}"), text);
    assert_eq!(text.lines().count(), 6, "{text}");
    let limit = usize::MAX.to_string();
    for (setting, shown) in [
        ("login path", "\"/a b\""),
        ("logout path", "\"logout\""),
        ("cookie prefix", "\"QQ\""),
        ("session idle", "59"),
        ("session lifetime", "58"),
        ("logins in flight", limit.as_str()),
    ] {
        let mut lines = text.lines();
        assert!(
            lines.any(|line| line.contains(setting) && line.contains(shown)),
            "{setting}: {text}"
        );
    }
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        any::<u64>().prop_map(Duration::from_secs),
    ]
}

proptest! {
    #[test]
    fn building_never_panics(
        (id, key, uri, url, scope) in any::<(String, String, String, String, String)>(),
        (login, logout, prefix, origin) in any::<(String, String, String, String)>(),
        (timeout, idle, lifetime) in (durations(), durations(), durations()),
        limit in any::<usize>(),
        is_valid_app in any::<bool>(),
    ) {
        let app = if is_valid_app {
            site::app_builder()
        } else {
            QqApp::builder(id, format!("canary {key}"), uri)
        };
        let app = app.base_url(url).scope(scope).call_timeout(timeout).login_timeout(timeout);
        let layer = site::builder(&site::qq())
            .login_path(login)
            .logout_path(logout)
            .trusted_origins([origin])
            .cookie_prefix(&prefix)
            .session_idle(idle)
            .session_lifetime(lifetime)
            .max_logins_in_flight(limit);
        for error in [app.build().err(), layer.build().err()].into_iter().flatten() {
            prop_assert!(!error.to_string().is_empty());
            prop_assert!(!error.to_string().contains("canary"));
        }
    }
}

/// The outcomes of `QqApp::from_env`, `QqApp::builder_from_env` with plain http allowed, and
/// `SessionKeys::from_env`, each as a redirect URI, a debug text or an error text.
type Outcomes = [Result<String, String>; 3];

/// Runs in this environment, and as the child process of the tests below in theirs.
#[test]
fn from_env_names_a_variable_in_each_line_of_an_error() {
    fn outcome<T>(
        result: Result<T, ConfigError>,
        show: impl Fn(T) -> String,
    ) -> Result<String, String> {
        result.map(show).map_err(|error| error.to_string())
    }
    let uri = |app: QqApp| app.redirect_uri().to_owned();
    let plain_http = QqApp::builder_from_env().danger_allow_plain_http();
    let outcomes: Outcomes = [
        outcome(QqApp::from_env(), uri),
        outcome(plain_http.build(), uri),
        outcome(SessionKeys::from_env(), |keys| format!("{keys:?}")),
    ];
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(error.lines().all(|line| line.contains("(QQ_")), "{error}");
    }
    eprintln!("{}", serde_json::to_string(&outcomes).unwrap());
}

/// Runs `from_env` in a child process, because all tests of this process share one environment.
fn from_env<V: AsRef<OsStr>>(environment: &[(&str, V)]) -> Outcomes {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args([
        "--exact",
        "config::from_env_names_a_variable_in_each_line_of_an_error",
        "--nocapture",
    ]);
    for name in [
        "QQ_APP_ID",
        "QQ_APP_KEY",
        "QQ_APP_KEY_FILE",
        "QQ_REDIRECT_URI",
        "QQ_BASE_URL",
        "QQ_SESSION_KEY",
        "QQ_SESSION_KEY_FILE",
    ] {
        child.env_remove(name);
    }
    for (name, value) in environment {
        child.env(name, value);
    }
    let output = child.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    serde_json::from_str(stderr.lines().last().unwrap()).unwrap()
}

fn valid_environment() -> Vec<(&'static str, &'static str)> {
    vec![
        ("QQ_APP_ID", APP_ID),
        ("QQ_APP_KEY", APP_KEY),
        ("QQ_REDIRECT_URI", CALLBACK),
        ("QQ_SESSION_KEY", SESSION_KEY),
    ]
}

#[test]
fn from_env_reads_the_variables() {
    let mut environment = valid_environment();
    let [app, plain_http, keys] = from_env(&environment);
    assert_eq!(
        (app, plain_http),
        (Ok(CALLBACK.into()), Ok(CALLBACK.into()))
    );
    assert!(keys.unwrap().contains("[redacted]"));
    environment.push(("QQ_BASE_URL", "https://proxy.example/qq"));
    assert_eq!(from_env(&environment)[0], Ok(CALLBACK.into()));
}

#[test]
fn from_env_reports_all_wrong_variables_at_once() {
    let redirect_uri = "http://site.example/auth/qq/callback";
    let [app, plain_http, keys] = from_env(&[
        ("QQ_APP_ID", "10190528O"),
        ("QQ_APP_KEY", "canary key"),
        ("QQ_REDIRECT_URI", redirect_uri),
        ("QQ_BASE_URL", "http://graph.qq.com"),
        ("QQ_SESSION_KEY", "canary"),
    ]);
    let wrong = [
        (ID, "\"10190528O\""),
        (KEY, ""),
        (BASE_URL, "\"http://graph.qq.com\""),
        (REDIRECT_URI, "\"http://site.example/auth/qq/callback\""),
    ];
    assert_lines(&app.unwrap_err(), &wrong);
    assert_lines(&plain_http.unwrap_err(), &wrong[..3]);
    assert_lines(&keys.unwrap_err(), &[("session key (QQ_SESSION_KEY)", "")]);
}

#[test]
fn from_env_reports_all_missing_variables_at_once() {
    let blank = |value| -> Vec<(&str, &str)> {
        let variables = valid_environment().into_iter();
        variables.map(|(name, _)| (name, value)).collect()
    };
    for environment in [Vec::new(), blank(""), blank(" \t")] {
        let [app, plain_http, keys] = from_env(&environment);
        for app in [app, plain_http] {
            let missing = [ID, KEY, REDIRECT_URI].map(|setting| (setting, "is not set"));
            assert_lines(&app.unwrap_err(), &missing);
        }
        let missing = [("session key (QQ_SESSION_KEY)", "is not set")];
        assert_lines(&keys.unwrap_err(), &missing);
    }
}

#[cfg(unix)]
#[test]
fn from_env_reports_variables_that_are_not_unicode() {
    use std::os::unix::ffi::OsStrExt;

    let binary = OsStr::from_bytes(b"canary\xff");
    let url = OsStr::from_bytes(b"https://site.example/\xff");
    let [app, plain_http, keys] = from_env(&[
        ("QQ_APP_ID", OsStr::from_bytes(b"1\xff")),
        ("QQ_APP_KEY", binary),
        ("QQ_REDIRECT_URI", url),
        ("QQ_BASE_URL", url),
        ("QQ_SESSION_KEY", binary),
    ]);
    for app in [app, plain_http] {
        let settings = [ID, KEY, REDIRECT_URI, BASE_URL].map(|setting| (setting, ""));
        assert_lines(&app.unwrap_err(), &settings);
    }
    assert_lines(&keys.unwrap_err(), &[("session key (QQ_SESSION_KEY)", "")]);
}

#[test]
fn from_env_names_each_variable_with_quotes_around_its_value() {
    let quoted: Vec<_> = valid_environment()
        .into_iter()
        .chain([("QQ_BASE_URL", "https://proxy.example/qq")])
        .map(|(name, value)| (name, format!("\"{value}\"")))
        .collect();
    let [app, plain_http, keys] = from_env(&quoted);
    for app in [app, plain_http] {
        let lines = [ID, KEY, REDIRECT_URI, BASE_URL].map(|setting| (setting, "has quotes"));
        assert_lines(&app.unwrap_err(), &lines);
    }
    let keys = keys.unwrap_err();
    assert_lines(&keys, &[("session key (QQ_SESSION_KEY)", "has quotes")]);
}

#[test]
fn from_env_accepts_plain_http_only_with_the_danger_setting() {
    let lan = "http://10.0.0.7:8080/cb";
    let mut environment = valid_environment();
    environment.retain(|(name, _)| *name != "QQ_REDIRECT_URI");
    environment.push(("QQ_REDIRECT_URI", lan));
    let [app, plain_http, _] = from_env(&environment);
    assert_lines(
        &app.unwrap_err(),
        &[(REDIRECT_URI, "\"http://10.0.0.7:8080/cb\"")],
    );
    assert_eq!(plain_http, Ok(lan.into()));
}

#[test]
fn from_env_reads_each_secret_from_a_file_and_names_the_file_in_errors() {
    let secrets = [
        (0, "app key", "QQ_APP_KEY", "QQ_APP_KEY_FILE", APP_KEY),
        (
            2,
            "session key",
            "QQ_SESSION_KEY",
            "QQ_SESSION_KEY_FILE",
            SESSION_KEY,
        ),
    ];
    for (index, noun, variable, file_variable, secret) in secrets {
        let path = env::temp_dir().join(format!("tower-qq-auth-{file_variable}-{}", id()));
        let file = path.to_str().unwrap();
        let mut environment = valid_environment();
        environment.push((file_variable, file));
        let read = |environment: &[(&str, &str)]| from_env(environment)[index].clone();
        let twice = read(&environment).unwrap_err();
        let in_variable = format!("{noun} ({variable})");
        assert_lines(&twice, &[(&in_variable, file_variable)]);

        environment.retain(|(name, _)| *name != variable);
        let in_file = format!("{noun} file ({file_variable})");
        let missing = read(&environment).unwrap_err();
        assert_lines(&missing, &[(&in_file, "cannot be read")]);
        assert!(missing.contains(file), "{missing}");
        for text in [
            secret.to_owned(),
            format!("{secret}\n"),
            format!(" {secret}\r\n\n"),
        ] {
            fs::write(file, &text).unwrap();
            assert!(read(&environment).is_ok(), "{text:?}");
        }
        let wrong = [
            (format!("\u{feff}{secret}\n"), "byte order mark"),
            (format!("\"{secret}\"\n"), "quotes"),
            (format!("'{secret}'"), "quotes"),
            ("\r\n".to_owned(), "is empty"),
            (String::new(), "is empty"),
            ("canary key\n".to_owned(), "must be"),
        ];
        for (text, problem) in wrong {
            fs::write(file, &text).unwrap();
            let error = read(&environment).unwrap_err();
            assert_lines(&error, &[(&in_file, problem)]);
            assert!(!error.contains(secret), "{error}");
        }
        let utf16: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
        fs::write(file, [&[0xff, 0xfe], &*utf16].concat()).unwrap();
        let error = read(&environment).unwrap_err();
        assert_lines(&error, &[(&in_file, "UTF-8")]);
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn from_env_numbers_the_wrong_key_of_a_ring_in_a_file() {
    let path = env::temp_dir().join(format!("tower-qq-auth-ring-{}", id()));
    let file = path.to_str().unwrap();
    let mut environment = valid_environment();
    environment.retain(|(name, _)| *name != "QQ_SESSION_KEY");
    environment.push(("QQ_SESSION_KEY_FILE", file));
    let other = "0a14983ae332e8d89e40cc103202851adaf970b47f759202d22e1d1198cfa9bc";
    fs::write(file, format!("{SESSION_KEY},\n{other}\n")).unwrap();
    let keys = from_env(&environment)[2].clone().unwrap();
    assert!(keys.contains("2 keys"), "{keys}");
    fs::write(file, format!("{SESSION_KEY},{}\n", &other[1..])).unwrap();
    let error = from_env(&environment)[2].clone().unwrap_err();
    let setting = "session key file (QQ_SESSION_KEY_FILE)";
    assert_lines(&error, &[(setting, "number 2 of 2")]);
    fs::remove_file(file).unwrap();
}

#[test]
fn login_button_takes_only_paths_of_the_site() {
    for url in [
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "/\\evil.example",
        "",
    ] {
        for language in [Language::Chinese, Language::English] {
            assert!(login_button(url, language).is_err(), "{url:?}");
        }
    }
    let url = "/auth/qq/login?return_to=/cart";
    let button = login_button(url, Language::English).unwrap();
    assert!(button.contains(&format!("href=\"{url}\"")), "{button}");
    assert!(login_button(url, Language::Chinese).is_ok());
}

#[test]
fn debug_output_shows_no_secrets() {
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        site::app(),
        site::app_builder(),
        site::keys(),
        site::layer(&site::qq()),
        site::builder(&site::qq()),
        tower_qq_auth::QqClient::with_service(site::app(), site::qq()),
    );
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("[redacted]"));
}

/// The parent runs itself again with a trust store that is empty.
#[test]
fn without_certificates_build_fails_and_new_logs() {
    const CHILD: &str = "CONFIG_TEST_WITHOUT_CERTIFICATES";
    if env::var_os(CHILD).is_none() {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args([
            "--exact",
            "config::without_certificates_build_fails_and_new_logs",
            "--nocapture",
        ]);
        child.env(CHILD, "1").env("SSL_CERT_FILE", "/dev/null");
        child.env("SSL_CERT_DIR", "/dev/null");
        let output = child.output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        let errors = log.lines().filter(|line| line.contains("ERROR"));
        assert!(
            errors.into_iter().any(|line| line.contains("HTTP client")),
            "{log}"
        );
        return;
    }
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let app = || QqApp::new(APP_ID, APP_KEY, CALLBACK).unwrap();
    let error = QqAuthLayer::builder(app(), site::keys())
        .build()
        .unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("HTTP client "), "{text}");
    let layer = QqAuthLayer::new(app(), site::keys());
    assert_eq!(layer.callback_path(), "/auth/qq/callback");
}
