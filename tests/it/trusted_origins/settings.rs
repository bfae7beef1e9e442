//! Accepted and rejected origins.

use tower_qq_auth::{ConfigError, QqApp, QqAuthLayer, QqClient};

use super::script;
use crate::{
    return_to::location_after,
    site::{APP_ID, APP_KEY, Site, builder, keys, qq},
};

const NO_ORIGIN: &str = "must be an origin such as https://www.example.com, without a path";
const NOT_ASCII: &str = "must be ASCII: write a Chinese domain in its xn-- form";
const PLAIN_HTTP: &str = "must be https, except on localhost, 127.0.0.1 and [::1]";
const WILDCARD: &str = "must be one origin, without wildcards: list each";

#[test]
fn build_rejects_what_is_not_one_origin() {
    let cases = [
        ("", NO_ORIGIN),
        ("null", NO_ORIGIN),
        ("www.site.example", NO_ORIGIN),
        ("//www.site.example", NO_ORIGIN),
        ("https:www.site.example", NO_ORIGIN),
        ("https:/www.site.example", NO_ORIGIN),
        ("https://", NO_ORIGIN),
        ("https:///", NO_ORIGIN),
        ("https://www.site.example/", NO_ORIGIN),
        ("https://www.site.example/app", NO_ORIGIN),
        ("https://www.site.example?a=b", NO_ORIGIN),
        ("https://www.site.example#a", NO_ORIGIN),
        ("https://www.site.example\\", NO_ORIGIN),
        ("https://www.site.example,https://m.site.example", NO_ORIGIN),
        ("https://www.site.example https://m.site.example", NO_ORIGIN),
        (" https://www.site.example", NO_ORIGIN),
        ("https://www.site.example\n", NO_ORIGIN),
        ("https://www%2esite.example", NO_ORIGIN),
        ("https://www.site.example;a", NO_ORIGIN),
        ("https://www.site.example:", NO_ORIGIN),
        ("https://:8443", NO_ORIGIN),
        ("https://www.site.example:99999", NO_ORIGIN),
        ("https://www.site.example:-1", NO_ORIGIN),
        ("https://www.site.example:+80", NO_ORIGIN),
        ("https://www.site.example:http", NO_ORIGIN),
        ("https://www.site.example:80:80", NO_ORIGIN),
        ("https://::1", NO_ORIGIN),
        ("https://[::1", NO_ORIGIN),
        ("ftp://www.site.example", NO_ORIGIN),
        ("ws://www.site.example", NO_ORIGIN),
        ("file:///x", NO_ORIGIN),
        ("javascript:alert(1)", NO_ORIGIN),
        ("chrome-extension://abcdef", NO_ORIGIN),
        ("*", WILDCARD),
        ("https://*", WILDCARD),
        ("https://*.site.example", WILDCARD),
        ("https://例子.中国", NOT_ASCII),
        ("https://www．site.example", NOT_ASCII),
        ("http://www.site.example", PLAIN_HTTP),
        ("HTTP://www.site.example:80", PLAIN_HTTP),
        ("http://10.0.0.7:3000", PLAIN_HTTP),
        ("http://0.0.0.0:3000", PLAIN_HTTP),
        ("http://localhost.evil.example", PLAIN_HTTP),
        ("http://127.0.0.1.evil.example", PLAIN_HTTP),
    ];
    for (origin, problem) in cases {
        let error = builder(&qq()).trusted_origins([origin]).build();
        let text = error.unwrap_err().to_string();
        assert_eq!(text, format!("trusted origin {problem}: {origin:?}"));
    }
    // Browsers write these in another way, so they would match nothing.
    for (origin, written) in [
        ("https://127.1", "https://127.0.0.1"),
        ("https://0x7f.1:8443", "https://127.0.0.1:8443"),
        ("https://[0:0:0:0:0:0:0:1]", "https://[::1]"),
        (
            "https://www.site.example:08443",
            "https://www.site.example:8443",
        ),
        ("https://www.site.example:0443", "https://www.site.example"),
    ] {
        let error = builder(&qq()).trusted_origins([origin]).build();
        let text = error.unwrap_err().to_string();
        let problem = format!("must be written as browsers do, {written}");
        assert_eq!(text, format!("trusted origin {problem}: {origin:?}"));
    }
    // It may be a password.
    let user_info = builder(&qq()).trusted_origins(["https://canary@www.site.example"]);
    let text = user_info.build().unwrap_err().to_string();
    assert_eq!(text, format!("trusted origin {NO_ORIGIN}"));
}

#[test]
fn build_names_each_wrong_origin_beside_other_settings() {
    let layer = builder(&qq()).login_path("login").cookie_prefix("QQ");
    let origins = ["https://m.site.example/", WWW_HTTP, super::WWW, "*"];
    let error = layer.trusted_origins(origins).build().unwrap_err();
    let text = error.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    for line in [
        format!("trusted origin {NO_ORIGIN}: \"https://m.site.example/\""),
        format!("trusted origin {PLAIN_HTTP}: {WWW_HTTP:?}"),
        format!("trusted origin {WILDCARD}: \"*\""),
    ] {
        assert!(lines.contains(&line.as_str()), "{line}: {text}");
    }
}

const WWW_HTTP: &str = "http://www.site.example";

#[tokio::test]
async fn an_accepted_origin_counts_as_browsers_write_it() {
    let cases = [
        ("https://www.site.example", "https://www.site.example"),
        ("HTTPS://WWW.Site.Example", "https://www.site.example"),
        ("https://www.site.example:443", "https://www.site.example"),
        ("https://www.site.example:80", "https://www.site.example:80"),
        ("https://m.site.example:8443", "https://m.site.example:8443"),
        (
            "https://xn--fsqu00a.xn--fiqs8s",
            "https://xn--fsqu00a.xn--fiqs8s",
        ),
        ("https://192.0.2.7", "https://192.0.2.7"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://LOCALHOST:80", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
        ("http://[::1]:5173", "http://[::1]:5173"),
    ];
    for (given, origin) in cases {
        let site = Site::with(|app| app, |layer| layer.trusted_origins([given]));
        let page = format!("{origin}/a?b");
        assert_eq!(location_after(&site, &page).await, page, "{given}");
        let start = script(site.browser(), origin).get("/auth/qq/login").await;
        assert_eq!(start.status, 200, "{given}: {start:?}");
        if given != origin {
            let page = format!("{given}/a");
            assert_eq!(location_after(&site, &page).await, "/", "{given}");
            let start = script(site.browser(), given).get("/auth/qq/login").await;
            start.assert_failed(403, "cross_site");
        }
    }
}

/// Builds a layer with this redirect URI and this trusted origin.
fn build(redirect_uri: &str, origin: &str) -> Result<QqAuthLayer, ConfigError> {
    let app = QqApp::builder(APP_ID, APP_KEY, redirect_uri).danger_allow_plain_http();
    let client = QqClient::with_service(app.build().unwrap(), qq());
    let layer = QqAuthLayer::builder(client, keys());
    layer.trusted_origins([origin]).build()
}

#[test]
fn plain_http_origins_need_a_redirect_uri_of_plain_http_on_a_public_host() {
    let lan = "http://10.0.0.7:8080/cb";
    for origin in [
        "http://10.0.0.8",
        "http://www.site.example:8080",
        super::WWW,
    ] {
        assert!(build(lan, origin).is_ok(), "{origin}");
    }
    for redirect_uri in [
        "https://site.example/cb",
        "http://localhost/cb",
        "http://127.0.0.1:3000/cb",
    ] {
        let error = build(redirect_uri, "http://10.0.0.8").unwrap_err();
        let text = format!("trusted origin {PLAIN_HTTP}: \"http://10.0.0.8\"");
        assert_eq!(error.to_string(), text, "{redirect_uri}");
    }
    assert!(build(lan, "http://10.0.0.8/").is_err());
}
