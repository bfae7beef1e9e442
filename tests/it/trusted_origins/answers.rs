//! Answers for the scripts of trusted origins.

use http::{HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use tower_http::cors::CorsLayer;

use super::{ORIGINS, WWW, script, site};
use crate::{
    initiators::sending,
    site::{Browser, Reply, Site, path},
};

const ABSOLUTE: &str = "https://site.example/auth/qq/login";
const LOCAL: &str = "/auth/qq/login";

#[track_caller]
fn assert_asks_for_login(reply: &Reply, login_url: &str) {
    reply.assert_failed(401, "login_required");
    assert_eq!(reply.problem()["login_url"], login_url);
    let challenge = format!("QQ login_url=\"{login_url}\"");
    assert_eq!(reply.header("www-authenticate"), challenge);
}

#[tokio::test]
async fn a_401_names_the_whole_login_url_to_a_page_of_a_trusted_origin_only() {
    let evil = "https://evil.example";
    let look_alike = "https://www.site.example.evil.example";
    let cases: [(&[&str], &[&str], &str); 15] = [
        (&["same-site"], &[WWW], ABSOLUTE),
        (&["same-site"], &[ORIGINS[1]], ABSOLUTE),
        (&[], &[WWW], ABSOLUTE),
        (&[], &[], LOCAL),
        (&["same-origin"], &[], LOCAL),
        (&["same-origin"], &[WWW], LOCAL),
        (&["same-site"], &["https://site.example"], LOCAL),
        (&["same-site"], &["https://shop.site.example"], LOCAL),
        (&["same-site"], &[], LOCAL),
        (&["cross-site"], &[WWW], LOCAL),
        (&["cross-site"], &[evil], LOCAL),
        (&[], &[evil], LOCAL),
        (&[], &[look_alike], LOCAL),
        (&[], &["null"], LOCAL),
        (&[], &[WWW, evil], LOCAL),
    ];
    let site = site();
    for (from, origins, login_url) in cases {
        let mut script = sending(&site.browser().program(), from, origins);
        assert_asks_for_login(&script.get("/me").await, login_url);
    }
}

#[tokio::test]
async fn a_401_at_the_start_of_a_login_names_the_whole_url_as_well() {
    let site = site();
    let bind = "/auth/qq/login?intent=bind&return_to=https%3A%2F%2Fwww.site.example%2Fx";
    let reply = script(site.browser(), WWW).get(bind).await;
    let again = "https://site.example/auth/qq/login?return_to=https%3A//www.site.example/x";
    assert_asks_for_login(&reply, again);
}

/// A site that lets the scripts of its front end read all answers.
fn site_with_cors() -> Site {
    let cors = CorsLayer::new()
        .allow_origin([HeaderValue::from_static(WWW)])
        .allow_credentials(true)
        .allow_headers([header::ACCEPT, HeaderName::from_static("x-csrf")])
        .allow_methods([Method::GET, Method::POST]);
    let site = site();
    let router = site.router.layer(cors);
    Site { router, ..site }
}

#[track_caller]
fn assert_readable(reply: &Reply) {
    assert_eq!(reply.header("access-control-allow-origin"), WWW);
    assert_eq!(reply.header("access-control-allow-credentials"), "true");
}

/// Returns the browser at the page that a script has opened.
fn navigating(browser: &Browser) -> Browser {
    let mut browser = browser.clone();
    browser.headers.clear();
    browser.header("accept", "text/html")
}

#[tokio::test]
async fn with_cors_outside_a_front_end_signs_in_and_out() {
    let site = site_with_cors();
    let mut page = script(site.browser(), WWW);
    let refused = page.get("/me").await;
    assert_readable(&refused);
    assert_asks_for_login(&refused, ABSOLUTE);

    let login = refused.problem()["login_url"].as_str().unwrap().to_owned();
    let here = "https%3A%2F%2Fwww.site.example%2Fcart%3Fa%3D1";
    let start = page.get(&path(&format!("{login}?return_to={here}"))).await;
    assert_readable(&start);
    let start: Value = serde_json::from_str(&start.body).unwrap();
    let url = start["authorize_url"].as_str().unwrap();
    let mut top = navigating(&page);
    let end = top.get(&path(&site.qq.approve(url).unwrap())).await;
    assert_eq!(end.location(), "https://www.site.example/cart?a=1");

    page.jar = top.jar;
    let me = page.get("/me").await;
    assert_readable(&me);
    assert_eq!(me.status, 200, "{me:?}");
    let bye = page.post("/auth/qq/logout").await;
    assert_readable(&bye);
    assert_eq!((bye.status.as_u16(), bye.body.as_str()), (204, ""));
    assert!(page.jar.is_empty(), "{bye:?}");
    assert_asks_for_login(&page.get("/me").await, ABSOLUTE);
}

#[tokio::test]
async fn cors_answers_preflights_and_they_start_and_end_nothing() {
    let site = site_with_cors();
    let signed_in = site.signed_in().await;
    let mut waiting = signed_in.clone();
    let callback = waiting.callback_from(&site.qq, "/auth/qq/login").await;
    let calls = site.qq.journal().len();
    for (method, uri) in [
        ("GET", "/auth/qq/login?intent=bind"),
        ("GET", callback.as_str()),
        ("POST", "/auth/qq/logout"),
        ("POST", "/form"),
    ] {
        // Browsers send no cookies with a preflight; other clients may.
        let preflight = script(waiting.clone(), WWW);
        let preflight = preflight.header("access-control-request-method", method);
        let mut preflight = preflight.header("access-control-request-headers", "x-csrf");
        let reply = preflight.send(Method::OPTIONS, uri).await;
        assert_readable(&reply);
        assert_eq!(reply.status, 200, "{uri}: {reply:?}");
        assert_eq!(preflight.jar, waiting.jar, "{uri}");
        let allowed = reply.header("access-control-allow-methods");
        assert!(allowed.contains(method), "{allowed}");
    }
    assert_eq!(site.qq.journal().len(), calls);
    assert_ne!(waiting.whoami().await, Value::Null);
    assert_eq!(waiting.get(&callback).await.location(), "/");
}

#[tokio::test]
async fn a_script_of_another_origin_cannot_read_the_401() {
    let site = site_with_cors();
    for origin in ["https://evil.example", ORIGINS[1]] {
        let reply = script(site.browser(), origin).get("/me").await;
        assert_eq!(reply.status, 401);
        let allowed = reply.headers.get("access-control-allow-origin");
        assert_eq!(allowed, None, "{origin}");
    }
}
