//! A site whose proxy strips a path prefix: every URL that leaves the layer has it, and no path that
//! arrives.

use axum::Router;
use http::{Method, StatusCode};
use tower_qq_auth::{
    QqApp, QqAuthLayer, QqAuthLayerBuilder, QqClient,
    mock::{Endpoint, Fault, MockQq},
};

use crate::{
    answers::links,
    log::Log,
    site::{
        APP_ID, APP_KEY, Browser, Clock, LOGIN, Reply, SESSION, Site, keys, pages, param, path,
    },
};

mod return_to;

const CALLBACK: &str = "https://site.example/club/auth/qq/callback";
const LOGIN_PATH: &str = "/club/auth/qq/login";
const TRUSTED: &str = "https://www.site.example";

fn builder(qq: &MockQq, redirect_uri: &str, prefix: &str) -> QqAuthLayerBuilder {
    let app = QqApp::new(APP_ID, APP_KEY, redirect_uri).unwrap();
    QqAuthLayer::builder(QqClient::with_service(app, qq.clone()), keys()).public_prefix(prefix)
}

/// The site at <https://site.example/club>, and its layer. Its router strips `/club` like a proxy
/// and knows no other path.
fn site_of(
    pages: Router,
    configure: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> (Site, QqAuthLayer) {
    let (qq, clock) = (MockQq::new(APP_ID, APP_KEY, CALLBACK), Clock::new());
    let time = clock.clone();
    let builder = builder(&qq, CALLBACK, "/club").clock(move || time.now());
    let layer = configure(builder).build().unwrap();
    let router = Router::new().nest_service("/club", pages.layer(layer.clone()));
    (Site { qq, router, clock }, layer)
}

/// Like [`site_of`], with the usual pages.
fn site_with(
    configure: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> (Site, QqAuthLayer) {
    site_of(pages(), configure)
}

fn site() -> Site {
    site_with(|layer| layer).0
}

/// Fails unless each URL of the site in this reply has the prefix.
#[track_caller]
fn assert_prefixed(case: &str, reply: &Reply) {
    let headers = ["location", "hx-redirect", "www-authenticate"];
    let headers = headers.map(|name| reply.headers.get(name));
    let headers = headers.map(|value| value.map_or("", |value| value.to_str().unwrap()));
    let text = format!(
        "\"{}\" \"{}\" {} {}",
        headers[0], headers[1], headers[2], reply.body
    );
    let urls = text.match_indices("\"/").map(|(at, _)| &text[at + 1..]);
    let urls: Vec<_> = urls.collect();
    assert!(!urls.is_empty(), "{case}: {reply:?}");
    for url in urls {
        assert!(url.starts_with("/club/"), "{case}: {url}");
    }
}

#[tokio::test]
async fn a_login_and_a_logout_stay_under_the_prefix() {
    let (site, layer) = site_with(|layer| layer);
    assert_eq!(layer.callback_path(), "/auth/qq/callback");
    let mut browser = site.browser();
    let page = browser.get("/club/me").await;
    assert_eq!(page.location(), "/club/auth/qq/login?return_to=/club/me");
    let start = browser.get(page.location()).await;
    let redirect_uri = param(start.location(), "redirect_uri");
    assert!(redirect_uri.ends_with("site.example%2Fclub%2Fauth%2Fqq%2Fcallback"));
    let callback = path(&site.qq.approve(start.location()).unwrap());
    let end = browser.get(&callback).await;
    assert_eq!(end.location(), "/club/me");
    for (reply, name) in [(&start, LOGIN), (&end, SESSION)] {
        let cookie = reply.cookies()[0];
        assert!(cookie.starts_with(name), "{cookie}");
        assert!(cookie.split("; ").any(|part| part == "Path=/"), "{cookie}");
    }
    assert_eq!(browser.get("/club/me").await.status, StatusCode::OK);

    let page = browser.get("/club/auth/qq/logout?return_to=/whoami").await;
    assert_eq!(links(&page), [("返回首页", "/club/")]);
    let action = "action=\"/club/auth/qq/logout?return_to=/whoami\"";
    assert!(page.body.contains(action), "{}", page.body);
    let gone = browser.post("/club/auth/qq/logout?return_to=/whoami").await;
    assert_eq!(gone.location(), "/club/whoami");
    assert_eq!(browser.get("/club/whoami").await.body, "null");
}

#[tokio::test]
async fn every_url_of_an_answer_has_the_prefix() {
    let (site, _) = site_with(|layer| layer.trusted_origins([TRUSTED]));
    let browser = || site.browser();
    let from = |site: &str| browser().header("sec-fetch-site", site);
    let htmx = || {
        let browser = from("same-origin").header("hx-request", "true");
        browser.header("hx-current-url", "https://site.example/club/x?a")
    };
    let frame = browser().header("sec-fetch-mode", "navigate");
    let frame = frame.header("sec-fetch-dest", "iframe");
    let image = browser().header("sec-fetch-mode", "no-cors");
    let image = image.header("sec-fetch-dest", "image");
    let prefetch = || browser().header("sec-purpose", "prefetch");
    let requests: [(Browser, Method, &str, u16); 18] = [
        (browser(), Method::GET, "/me?a", 303),
        (browser(), Method::POST, "/form", 401),
        (browser().program(), Method::GET, "/me", 401),
        (frame.clone(), Method::GET, "/me", 401),
        (frame, Method::GET, "/auth/qq/login?return_to=/x", 401),
        (image, Method::GET, "/auth/qq/login?return_to=/x", 403),
        (htmx(), Method::GET, "/me", 401),
        (htmx(), Method::POST, "/auth/qq/logout?return_to=/x", 204),
        (prefetch(), Method::GET, "/me", 403),
        (prefetch(), Method::GET, "/auth/qq/login?return_to=/x", 403),
        (browser(), Method::GET, "/auth/qq/logout?return_to=/x", 405),
        (browser(), Method::POST, "/auth/qq/login", 405),
        (browser(), Method::POST, "/auth/qq/logout", 303),
        (from("cross-site"), Method::POST, "/auth/qq/logout", 403),
        (
            from("same-origin"),
            Method::GET,
            "/auth/qq/login?intent=bind",
            401,
        ),
        (
            from("cross-site"),
            Method::GET,
            "/auth/qq/login?intent=bind",
            403,
        ),
        (browser(), Method::GET, "/auth/qq/callback", 400),
        (browser().program(), Method::GET, "/auth/qq/callback", 400),
    ];
    for (mut browser, method, path, status) in requests {
        let case = format!("{method} {path}");
        let reply = browser.send(method.clone(), &format!("/club{path}")).await;
        assert_eq!(reply.status.as_u16(), status, "{case}: {reply:?}");
        assert_prefixed(&case, &reply);
    }

    // Ends of logins.
    let fail = || site.qq.fault(Endpoint::Token, 1, Fault::Code(100_020));
    let mut browser = site.browser();
    fail();
    let page = browser
        .sign_in(&site.qq, "/club/auth/qq/login?return_to=/x")
        .await;
    let again = "/club/auth/qq/login?return_to=/club/x";
    assert_eq!(links(&page), [("重新登录", again), ("返回首页", "/club/")]);
    fail();
    let mut program = site.browser().program();
    let problem = program.sign_in(&site.qq, again).await.problem();
    assert_eq!(problem["login_url"], again);
    let popup = "/club/auth/qq/login?popup=1&return_to=/x";
    let page = browser.sign_in(&site.qq, popup).await;
    assert_eq!(links(&page), [("继续", "/club/x")]);
    // The user is signed in by now.
    let stale = browser
        .get("/club/auth/qq/callback?code=C0DE&state=1")
        .await;
    assert_eq!(stale.location(), "/club/");
}

#[tokio::test]
async fn a_request_of_a_page_names_it_with_the_prefix() {
    let (site, _) = site_with(|layer| layer.trusted_origins([TRUSTED]));
    let to = |page: &str| match page {
        "" => LOGIN_PATH.to_owned(),
        page => format!("{LOGIN_PATH}?return_to={page}"),
    };
    for (page, return_to) in [
        ("https://site.example/club/x?a", "/club/x%3Fa"),
        ("https://site.example/club/", ""),
        ("https://site.example/clubx", ""),
        ("https://site.example/shop/x", ""),
        ("https://site.example/x", ""),
        ("https://site.example/club/auth/qq/logout", ""),
        ("https://www.site.example/x", "https%3A//www.site.example/x"),
        ("https://evil.example/club/x", ""),
    ] {
        let mut form = site.browser().header("referer", page);
        let refused = form.post("/club/form").await;
        assert_eq!(links(&refused)[0].1, to(return_to), "{page}");
        let challenge = format!("QQ login_url=\"{}\"", to(return_to));
        assert_eq!(refused.header("www-authenticate"), challenge);

        let htmx = site.browser().header("hx-request", "true");
        let refused = htmx.header("hx-current-url", page).get("/club/me").await;
        assert_eq!(refused.header("hx-redirect"), to(return_to), "{page}");
    }
    let front_end = site.browser().program().header("origin", TRUSTED);
    let mut front_end = front_end.header("sec-fetch-site", "same-site");
    let problem = front_end.get("/club/me").await.problem();
    let url = "https://site.example/club/auth/qq/login";
    assert_eq!(problem["login_url"], url);
}

#[tokio::test]
async fn headers_of_a_proxy_name_no_prefix() {
    let login = |prefix: &str| format!("{prefix}/auth/qq/login?return_to={prefix}/me");
    for (site, prefix) in [(Site::new(), ""), (site(), "/club")] {
        let browser = site.browser().header("x-forwarded-prefix", "/evil");
        let browser = browser.header("x-script-name", "/evil");
        let mut browser = browser.header("x-original-uri", "/evil/me");
        let page = browser.get(&format!("{prefix}/me")).await;
        assert_eq!(page.location(), login(prefix));
    }
}

#[tokio::test]
async fn the_log_names_a_prefix_that_the_proxy_does_not_strip() {
    let text = "a request for the layer has the public prefix";
    let layer = builder(&MockQq::new(APP_ID, APP_KEY, CALLBACK), CALLBACK, "/club");
    let router = pages().layer(layer.build().unwrap());
    let (site, _) = site_with(|layer| layer);
    let mut unstripped = Browser {
        router,
        ..site.browser()
    };
    let log = Log::start();
    for path in ["/auth/qq/login", "/club/me", "/club", "/clubauth/qq/login"] {
        unstripped.get(path).await;
    }
    assert!(!log.text().contains(text), "{}", log.text());
    for path in ["/club/auth/qq/login?return_to=/x", "/club/auth/qq/callback"] {
        assert_eq!(unstripped.get(path).await.status, StatusCode::NOT_FOUND);
    }
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().all(|line| line.contains(text)));
}

#[test]
fn rejects_prefixes_that_do_not_fit_the_redirect_uri() {
    const SHAPE: &str = "must be a plain path such as /club, without a slash at the end";
    const START: &str = "must start the path of the redirect URI";
    const LENGTH: &str = "must be shorter than the path of the redirect URI";
    let qq = MockQq::new(APP_ID, APP_KEY, CALLBACK);
    let long = format!("/{}", "x".repeat(256));
    for (prefix, problem) in [
        ("club", SHAPE),
        ("/club/", SHAPE),
        ("/", SHAPE),
        ("//club", SHAPE),
        ("/a//b", SHAPE),
        ("/a/../club", SHAPE),
        ("/club/.", SHAPE),
        ("/%2e%2e", SHAPE),
        ("/a%2Fb", SHAPE),
        ("/club?a=b", SHAPE),
        ("/club#a", SHAPE),
        ("/a b", SHAPE),
        ("/a\r\nb", SHAPE),
        ("/a\\b", SHAPE),
        ("/{club}", SHAPE),
        ("/Ä", SHAPE),
        ("https://site.example/club", SHAPE),
        (&long, SHAPE),
        ("/shop", START),
        ("/clu", START),
        ("/Club", START),
        ("/%63lub", START),
        ("/club/x", START),
        ("/club/auth/qq/callback/x", START),
        ("/club/auth/qq/callback", LENGTH),
    ] {
        let error = builder(&qq, CALLBACK, prefix).build().unwrap_err();
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.starts_with(&format!("public prefix {problem}")),
            "{text}"
        );
    }
    let error = builder(&qq, "https://site.example/club/", "/club").build();
    assert!(error.unwrap_err().to_string().contains(LENGTH));
    // The paths are compared as they arrive.
    for (path, setting) in [("login", "login path"), ("logout", "logout path")] {
        let uri = format!("https://site.example/club/auth/qq/{path}");
        let text = builder(&qq, &uri, "/club").build().unwrap_err().to_string();
        assert!(
            text.starts_with(&format!("{setting} must differ")),
            "{text}"
        );
    }
    for prefix in ["", "/club", "/club/auth", "/club/auth/qq"] {
        assert!(builder(&qq, CALLBACK, prefix).build().is_ok(), "{prefix}");
    }
}
