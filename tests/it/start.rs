//! The lines about settings that a layer logs at start.

use tower_qq_auth::{ConfigError, QqApp, QqAppBuilder, QqAuthLayer, QqClient, SessionKeys};

use crate::{
    log::Log,
    site::{APP_ID, APP_KEY, CALLBACK, app_builder, keys, qq},
};

/// Returns the warnings at the start of a site with this app.
fn warnings(app: QqAppBuilder) -> Vec<String> {
    let log = Log::start();
    let client = QqClient::with_service(app.build().unwrap(), qq());
    let built = QqAuthLayer::builder(client.clone(), keys()).build();
    let warnings = log.warnings();
    drop(built.unwrap());
    drop(QqAuthLayer::new(client, keys()));
    let twice = log.warnings().len();
    assert_eq!(twice, 2 * warnings.len(), "`new` warns as `build` does");
    warnings
}

fn app(redirect_uri: &str) -> QqAppBuilder {
    QqApp::builder(APP_ID, APP_KEY, redirect_uri)
}

#[test]
fn settings_for_production_cause_no_warning() {
    for uri in [
        CALLBACK,
        "https://site.example/cb?a=/",
        "https://site.example/a/b",
    ] {
        assert_eq!(warnings(app(uri)), [""; 0], "{uri}");
    }
    let url = "https://GRAPH.qq.com/";
    assert_eq!(warnings(app_builder().base_url(url)), [""; 0]);
    // For development with a mock.
    let local = app("http://127.0.0.1:3000/cb").base_url("http://127.0.0.1:3000/mock-qq");
    assert_eq!(warnings(local), [""; 0]);
}

#[test]
fn one_warning_names_what_qq_will_refuse() {
    let cases = [
        ("https://site.example/cb/", "ends in `/`"),
        ("https://site.example/cb/?a=b", "ends in `/`"),
        ("https://site.example:8443/cb", "has a port"),
        ("https://site.example:443/cb", "has a port"),
        ("http://127.0.0.1:3000/cb", "has a port"),
    ];
    for (uri, problem) in cases {
        let [warning] = &warnings(app(uri))[..] else {
            panic!("{uri}: {:?}", warnings(app(uri)))
        };
        for part in ["redirect URI (QQ_REDIRECT_URI)", problem, uri] {
            assert!(warning.contains(part), "{part}: {warning}");
        }
    }
    assert_eq!(warnings(app("https://site.example:8443/cb/")).len(), 2);
    let mocked = app("https://site.example:8443/cb").base_url("http://127.0.0.1:9");
    assert!(!warnings(mocked).concat().contains("port"));
}

#[test]
fn a_foreign_base_url_of_an_https_site_is_a_warning_that_names_its_host() {
    for (url, host) in [
        ("https://proxy.example:8443/qq", "proxy.example"),
        (
            "https://graph.qq.com.evil.example",
            "graph.qq.com.evil.example",
        ),
        ("http://127.0.0.1:3000/mock-qq", "127.0.0.1"),
    ] {
        let [warning] = &warnings(app_builder().base_url(url))[..] else {
            panic!("{url}")
        };
        for part in ["base URL (QQ_BASE_URL)", host, "https://site.example"] {
            assert!(warning.contains(part), "{part}: {warning}");
        }
    }
}

#[track_caller]
fn assert_refused<T>(outcome: Result<T, ConfigError>, parts: &[&str]) {
    let Err(error) = outcome else {
        panic!("accepted: {parts:?}")
    };
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_list_of_redirect_uris_and_a_chinese_domain_are_refused() {
    let setting = "redirect URI (QQ_REDIRECT_URI)";
    for list in [
        "https://a.example/cb;https://b.example/cb",
        "a.example/cb;b.example/cb",
        "https://a.example/cb;",
    ] {
        assert_refused(app(list).build(), &[setting, "`;`", list]);
    }
    for (uri, domain) in [
        ("https://例子.中国/cb", "xn--fsqu00a.xn--fiqs8s"),
        ("https://例子。中国/cb", "xn--fsqu00a.xn--fiqs8s"),
        ("https://www.例子.cn:8443/回调", "www.xn--fsqu00a.cn"),
    ] {
        assert_refused(app(uri).build(), &[setting, domain, uri]);
    }
    assert_refused(
        app("https://site.example/回调").build(),
        &[setting, "ASCII"],
    );
}

#[test]
fn quotes_and_a_byte_order_mark_around_a_value_are_refused_by_name() {
    let wrap = |value: &str| {
        [
            (format!("\"{value}\""), "quotes"),
            (format!("'{value}'"), "quotes"),
            (format!("\"{value}"), "quotes"),
            (format!("{value}'"), "quotes"),
            (format!("“{value}”"), "quotes"),
            (format!("\u{feff}{value}"), "byte order mark"),
            (format!("\u{feff}\"{value}\""), "byte order mark"),
        ]
    };
    for (value, problem) in wrap(APP_ID) {
        let outcome = QqApp::new(value, APP_KEY, CALLBACK);
        assert_refused(outcome, &["app id (QQ_APP_ID)", problem]);
    }
    for (value, problem) in wrap(APP_KEY) {
        let outcome = QqApp::new(APP_ID, value, CALLBACK);
        let text = outcome.as_ref().unwrap_err().to_string();
        assert!(!text.contains("canary"), "{text}");
        assert_refused(outcome, &["app key (QQ_APP_KEY)", problem]);
    }
    for (value, problem) in wrap(CALLBACK) {
        let outcome = QqApp::new(APP_ID, APP_KEY, value);
        assert_refused(outcome, &["redirect URI (QQ_REDIRECT_URI)", problem]);
    }
    for (value, problem) in wrap("https://graph.qq.com") {
        let outcome = app_builder().base_url(value).build();
        assert_refused(outcome, &["base URL (QQ_BASE_URL)", problem]);
    }
    for (value, problem) in wrap(&"8d1e0f8f0a4f2d3b".repeat(4)) {
        let outcome = SessionKeys::parse(&value);
        assert_refused(outcome, &["session key (QQ_SESSION_KEY)", problem]);
    }
}
