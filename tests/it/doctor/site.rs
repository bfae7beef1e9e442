//! The doctor's visit to the site itself.

use axum::body::Body;
use http::{Response, Uri};
use tower_qq_auth::{QqApp, QqAuthLayer, mock::MockQq};

use super::{
    Qq, SESSION_KEY, assert_finding, doctor,
    internet::{Answer, Hosts, Internet, redirect, status},
};
use crate::site::{APP_ID, APP_KEY, keys, pages};

const SITE: &str = "www.site.example";
const CALLBACK: &str = "https://www.site.example/auth/qq/callback";

/// The proxy of a correct site: it redirects all its addresses to one.
fn correct(uri: &Uri) -> Answer {
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(SITE)) => Answer::App(uri.path().into()),
        (_, Some(SITE | "site.example")) => redirect(format!("https://{SITE}{}", uri.path())),
        _ => Answer::Nothing,
    }
}

/// A site, and the doctor's settings.
struct Visit<'a> {
    redirect_uri: &'a str,
    /// The redirect URI of the app that runs.
    runs: &'a str,
    names: &'a [&'a str],
    arguments: &'a [&'a str],
}

const VISIT: Visit<'_> = Visit {
    redirect_uri: CALLBACK,
    runs: CALLBACK,
    names: &[SITE, "site.example"],
    arguments: &["--site"],
};

impl Visit<'_> {
    async fn report(&self, name: &str, hosts: Hosts) -> String {
        self.report_trusting(name, hosts, None).await
    }

    /// Returns the report of a doctor that trusts this authority instead of the site's.
    async fn report_trusting(
        &self,
        name: &str,
        hosts: Hosts,
        authority: Option<&Internet>,
    ) -> String {
        let qq = Qq::serve(MockQq::new(APP_ID, APP_KEY, self.redirect_uri)).await;
        let app = QqApp::builder(APP_ID, APP_KEY, self.runs).base_url(&qq.url);
        let layer = QqAuthLayer::new(app.build().unwrap(), keys());
        let internet = Internet::start(name, pages().layer(layer), hosts, self.names).await;
        let proxy = format!("http://{}", internet.proxy);
        let authority = &authority.unwrap_or(&internet).authority;
        let environment = [
            ("QQ_APP_ID", APP_ID),
            ("QQ_APP_KEY", APP_KEY),
            ("QQ_REDIRECT_URI", self.redirect_uri),
            ("QQ_SESSION_KEY", SESSION_KEY),
            ("QQ_BASE_URL", &qq.url),
            ("HTTP_PROXY", &proxy),
            ("HTTPS_PROXY", &proxy),
            ("SSL_CERT_FILE", authority.to_str().unwrap()),
        ];
        doctor(&environment, self.arguments).await
    }
}

#[tokio::test]
async fn finds_nothing_wrong_in_a_correct_site() {
    for arguments in [
        &["--site"][..],
        &["https://www.site.example"],
        &["www.site.example"],
        &["https://site.example/"],
    ] {
        let visit = Visit { arguments, ..VISIT };
        let report = visit.report("correct", correct).await;
        for finding in [
            "the layer answers at https://www.site.example/auth/qq/callback",
            "its login redirects to QQ, with this app id and redirect URI",
            "https://site.example/ redirects to https://www.site.example",
            "http://www.site.example/ redirects to https://www.site.example",
            "http://site.example/ redirects to https://www.site.example",
        ] {
            assert_finding(&report, "ok", finding, "");
        }
        assert!(report.contains("\nerrors: 0, "), "{report}");
    }
}

#[tokio::test]
async fn an_address_that_does_not_exist_is_a_finding_only_if_it_is_named() {
    let hosts: Hosts = |uri| match uri.host() {
        Some(SITE) => correct(uri),
        _ => Answer::Nothing,
    };
    let report = VISIT.report("alone", hosts).await;
    assert!(report.contains("\nerrors: 0, "), "{report}");
    assert!(!report.contains("//site.example"), "{report}");
    let arguments = &["https://shop.example"][..];
    let report = Visit { arguments, ..VISIT }.report("named", hosts).await;
    assert_finding(
        &report,
        "error",
        "(HTTPS_PROXY) fails",
        "NO_PROXY=shop.example",
    );
}

#[tokio::test]
async fn finds_what_is_wrong_at_the_callback() {
    let cases: [(&str, Hosts, &str, &str); 6] = [
        (
            "shadowed",
            |_| Answer::Other(status(200)),
            "status 200",
            "apply the layer last",
        ),
        (
            "missing",
            |_| Answer::Other(status(404)),
            "status 404",
            "apply the layer last",
        ),
        (
            "down",
            |_| Answer::Other(status(502)),
            "status 502",
            "start the app",
        ),
        (
            "guarded",
            |_| Answer::Other(status(403)),
            "status 403",
            "access control",
        ),
        (
            "moved",
            |uri| redirect(format!("https://shop.example{}?state=canary", uri.path())),
            "redirects to https://shop.example/auth/qq/callback",
            "must name the address that answers in the end",
        ),
        (
            "not-ours",
            |_| {
                Answer::Other(
                    Response::builder()
                        .status(400)
                        .body(Body::from("{}"))
                        .unwrap(),
                )
            },
            "status 400",
            "apply the layer last",
        ),
    ];
    for (name, hosts, finding, advice) in cases {
        let report = VISIT.report(name, hosts).await;
        assert_finding(&report, "error", finding, advice);
        assert!(!report.contains("its login"), "{report}");
        assert!(!report.contains("canary"), "{report}");
    }
}

#[tokio::test]
async fn recognizes_a_proxy_that_changes_the_path() {
    const BELOW: &str = "https://www.site.example/app/auth/qq/callback";
    let below = Visit {
        redirect_uri: BELOW,
        runs: BELOW,
        ..VISIT
    };
    let strips: Hosts = |uri| match uri.path().strip_prefix("/app") {
        Some(path) => Answer::App(path.into()),
        None => Answer::Other(status(404)),
    };
    let report = below.report("strips", strips).await;
    assert_finding(
        &report,
        "error",
        "status 404",
        "the proxy strips /app from the path",
    );

    let adds: Hosts = |uri| Answer::App(format!("/app{}", uri.path()));
    let report = below.report("adds", adds).await;
    assert_finding(
        &report,
        "error",
        "status 404",
        "the proxy adds /app to the path",
    );

    let arguments = &["https://www.site.example/app/"][..];
    let visit = Visit { arguments, ..VISIT };
    let report = visit.report("below", strips).await;
    assert_finding(&report, "error", "status 404", "the site is below /app");
}

#[tokio::test]
async fn finds_a_site_that_runs_with_other_settings() {
    let visit = Visit {
        runs: "https://site.example/auth/qq/callback",
        ..VISIT
    };
    let report = visit.report("other-callback", correct).await;
    let finding = "has the redirect_uri https://site.example/auth/qq/callback, not https://www";
    assert_finding(&report, "error", finding, "restart it");
}

/// Answers the callback like the app, and the login like this.
fn login(uri: &Uri, answer: fn() -> Answer) -> Answer {
    match (uri.host(), uri.path()) {
        (Some(SITE), "/auth/qq/login") => answer(),
        _ => correct(uri),
    }
}

#[tokio::test]
async fn finds_what_is_wrong_at_the_login() {
    let cases: [(&str, Hosts, &str, &str, &str); 5] = [
        (
            "no-login",
            |uri| login(uri, || Answer::Other(status(404))),
            "warning",
            "no login at https://www.site.example/auth/qq/login",
            "login_path",
        ),
        (
            "broken-login",
            |uri| login(uri, || Answer::Other(status(500))),
            "error",
            "its login answers with status 500",
            "its log says more",
        ),
        (
            "elsewhere",
            |uri| login(uri, || redirect("https://sso.example/?state=canary")),
            "error",
            "redirects to https://sso.example/, not to QQ",
            "restart it",
        ),
        (
            "other-qq",
            |uri| login(uri, || redirect("https://graph.qq.com/oauth2.0/authorize")),
            "error",
            "redirects to https://graph.qq.com/oauth2.0/authorize, not to http://127",
            "restart it",
        ),
        (
            "hostile",
            |uri| {
                login(uri, || {
                    let json = r#"{"code":"\u001b[2J\u202eevil"}"#;
                    Answer::Other(Response::builder().status(418).body(json.into()).unwrap())
                })
            },
            "error",
            r"answers with status 418 \u{1b}[2J\u{202e}evil",
            "",
        ),
    ];
    for (name, hosts, severity, finding, advice) in cases {
        let report = VISIT.report(name, hosts).await;
        assert_finding(&report, severity, finding, advice);
        assert!(!report.contains("canary"), "{report}");
    }
}

#[tokio::test]
async fn finds_a_proxy_that_drops_the_login_cookie() {
    // The doctor's own settings name the mock, so the redirect must as well: build it from them.
    let qq = Qq::serve(MockQq::new(APP_ID, APP_KEY, CALLBACK)).await;
    let app = QqApp::builder(APP_ID, APP_KEY, CALLBACK).base_url(&qq.url);
    let layer = QqAuthLayer::new(app.build().unwrap(), keys());
    let app = pages().layer(layer).layer(axum::middleware::map_response(
        async |mut response: Response<Body>| {
            response.headers_mut().remove("set-cookie");
            response
        },
    ));
    let internet = Internet::start("no-cookies", app, correct, VISIT.names).await;
    let proxy = format!("http://{}", internet.proxy);
    let environment = [
        ("QQ_APP_ID", APP_ID),
        ("QQ_APP_KEY", APP_KEY),
        ("QQ_REDIRECT_URI", CALLBACK),
        ("QQ_SESSION_KEY", SESSION_KEY),
        ("QQ_BASE_URL", &qq.url),
        ("ALL_PROXY", &proxy),
        ("SSL_CERT_FILE", internet.authority.to_str().unwrap()),
    ];
    let report = doctor(&environment, &["--site"]).await;
    assert_finding(&report, "error", "its login sets no cookie", "`Set-Cookie`");
}

#[tokio::test]
async fn finds_other_addresses_at_which_logins_lose_their_cookies() {
    let serves_all: Hosts = |uri| Answer::App(uri.path().into());
    let report = VISIT.report("everywhere", serves_all).await;
    for address in [
        "https://site.example/",
        "http://www.site.example/",
        "http://site.example/",
    ] {
        let finding = format!("a login that starts at {address} loses its cookies");
        let advice = "redirect every page of it to https://www.site.example/";
        assert_finding(&report, "error", &finding, advice);
    }

    let parked: Hosts = |uri| match uri.host() {
        Some("site.example") => Answer::Other(status(200)),
        _ => correct(uri),
    };
    let report = VISIT.report("parked", parked).await;
    assert_finding(
        &report,
        "warning",
        "https://site.example/ is another site",
        "redirect it",
    );
}

#[tokio::test]
async fn finds_certificates_that_browsers_refuse() {
    let only_www = Visit {
        names: &[SITE],
        ..VISIT
    };
    let report = only_www.report("only-www", correct).await;
    let finding = "https://site.example/ has no valid certificate";
    assert_finding(
        &report,
        "warning",
        finding,
        "add the name to the certificate",
    );

    let other = Internet::start("other", pages(), correct, &[]).await;
    let report = VISIT
        .report_trusting("untrusted", correct, Some(&other))
        .await;
    let finding = "no secure connection to www.site.example";
    assert_finding(&report, "error", finding, "check the certificate");
}

#[tokio::test]
async fn judges_the_addresses_of_the_host() {
    let unresolvable = format!("https://{}.example/auth/qq/callback", "q".repeat(64));
    for (redirect_uri, severity, finding) in [
        (unresolvable.as_str(), "error", "does not resolve"),
        (
            "https://0.0.0.0:1/auth/qq/callback",
            "warning",
            "0.0.0.0 resolves to 0.0.0.0",
        ),
        (
            "http://127.0.0.1:1/auth/qq/callback",
            "ok",
            "resolves to 127.0.0.1",
        ),
    ] {
        let environment = [
            ("QQ_APP_ID", APP_ID),
            ("QQ_APP_KEY", APP_KEY),
            ("QQ_REDIRECT_URI", redirect_uri),
            ("QQ_SESSION_KEY", SESSION_KEY),
            ("QQ_BASE_URL", "http://127.0.0.1:1"),
        ];
        let report = doctor(&environment, &["--site"]).await;
        assert_finding(&report, severity, finding, "");
    }
}
