//! htmx, whose requests cannot follow a redirect to another page.

use serde_json::Value;

use crate::{
    site::{Browser, Reply, SESSION, Site, path},
    trusted_origins::{WWW, site},
};

/// A browser in which htmx sends the requests of this page.
fn htmx(browser: Browser, page: &str) -> Browser {
    browser
        .header("hx-request", "true")
        .header("hx-current-url", page)
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "cors")
        .header("sec-fetch-dest", "empty")
        .header("accept", "*/*")
}

#[track_caller]
fn assert_leads_to(reply: &Reply, status: u16, url: &str) {
    assert_eq!(reply.status.as_u16(), status, "{reply:?}");
    assert_eq!(reply.header("hx-redirect"), url);
    assert!(reply.headers["hx-redirect"].is_sensitive());
    assert!(!reply.headers.contains_key("location"), "{reply:?}");
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_401_leads_to_the_login_and_back_to_the_page() {
    let site = site();
    for (page, return_to) in [
        (
            "https://site.example/cart?a=1#b",
            "?return_to=/cart%3Fa%3D1%23b",
        ),
        ("https://site.example/", ""),
        ("https://site.example", ""),
        (
            "https://www.site.example/cart?a",
            "?return_to=https%3A//www.site.example/cart%3Fa",
        ),
        ("", ""),
        ("/cart", ""),
        ("null", ""),
        ("about:blank", ""),
        ("javascript:alert(1)", ""),
        ("http://site.example/cart", ""),
        ("https://site.example:8443/cart", ""),
        ("https://site.example.evil.example/cart", ""),
        ("https://site.example@evil.example/cart", ""),
        ("https://site.example\\@evil.example/cart", ""),
        ("https://site.example//evil.example", ""),
        ("https://site.example/%2f/evil.example", ""),
        ("https://site.example/auth/qq/callback?code=1&state=2", ""),
        ("https://www.site.example//evil.example", ""),
        ("https://www.site.example.evil.example/cart", ""),
        ("https://www.site.example/auth/qq/logout", ""),
        ("https://shop.site.example/cart", ""),
    ] {
        let mut browser = htmx(site.browser(), page);
        let reply = browser.get("/me").await;
        assert_leads_to(&reply, 401, &format!("/auth/qq/login{return_to}"));
        reply.assert_failed(401, "login_required");
        let form = browser.post("/form").await;
        assert_eq!(form.header("hx-redirect"), reply.header("hx-redirect"));
    }
    let mut browser = htmx(site.browser(), "x");
    let page = "https://site.example/中".parse().unwrap();
    browser.headers.insert("hx-current-url", page);
    assert_leads_to(&browser.get("/me").await, 401, "/auth/qq/login");
    browser.headers.remove("hx-current-url");
    assert_leads_to(&browser.get("/me").await, 401, "/auth/qq/login");
}

#[tokio::test]
async fn a_page_of_a_trusted_origin_gets_whole_urls() {
    let site = site();
    let page = "https://www.site.example/cart";
    let mut browser = htmx(site.signed_in().await, page)
        .header("sec-fetch-site", "same-site")
        .header("origin", WWW);
    let home = "https://site.example/";
    assert_leads_to(&browser.post("/auth/qq/logout").await, 204, home);
    let login = "https://site.example/auth/qq/login?return_to=https%3A//www.site.example/cart";
    assert_leads_to(&browser.get("/me").await, 401, login);
    let logout = "/auth/qq/logout?return_to=https%3A%2F%2Fwww.site.example%2Fbye";
    let bye = "https://www.site.example/bye";
    assert_leads_to(&browser.post(logout).await, 204, bye);
}

#[tokio::test]
async fn a_boosted_link_starts_a_login() {
    let site = Site::new();
    let mut browser = htmx(site.browser(), "https://site.example/").header("hx-boosted", "true");
    let start = browser.get("/auth/qq/login?return_to=/x").await;
    assert_eq!((start.status.as_u16(), start.body.as_str()), (204, ""));
    let url = start.header("hx-redirect").to_owned();
    assert!(url.starts_with("https://graph.qq.com/"), "{url}");
    assert_leads_to(&start, 204, &url);
    assert_eq!(browser.pending_logins(), 1);

    let mut top = site.browser();
    top.jar = browser.jar;
    let end = top.get(&path(&site.qq.approve(&url).unwrap())).await;
    assert_eq!(end.location(), "/x");
}

#[tokio::test]
async fn a_logout_leads_to_its_page() {
    let site = Site::new();
    for (query, page) in [
        ("", "/"),
        ("?return_to=/bye%3Fa", "/bye?a"),
        ("?return_to=https%3A%2F%2Fevil.example%2F", "/"),
        ("?return_to=%2F%2Fevil.example", "/"),
    ] {
        let mut browser = htmx(site.signed_in().await, "https://site.example/");
        let reply = browser.post(&format!("/auth/qq/logout{query}")).await;
        assert_leads_to(&reply, 204, page);
        assert_eq!(reply.body, "");
        assert_eq!(browser.whoami().await, Value::Null);
    }
}

#[tokio::test]
async fn over_plain_http_the_answers_are_the_same() {
    let site = Site::new();
    for accept in ["*/*", "text/html, */*"] {
        let mut browser = site.signed_in().await.header("hx-request", "true");
        browser = browser.header("accept", accept);
        browser = browser.header("hx-current-url", "https://site.example/x");
        assert_leads_to(&browser.post("/auth/qq/logout").await, 204, "/");
        let login = "/auth/qq/login?return_to=/x";
        assert_leads_to(&browser.get("/me").await, 401, login);
        let start = browser.get(login).await;
        assert_eq!(start.status, 204);
        assert!(
            start
                .header("hx-redirect")
                .starts_with("https://graph.qq.com/")
        );
    }
}

#[tokio::test]
async fn a_foreign_script_is_refused_in_spite_of_the_header() {
    let site = site();
    let signed_in = site.signed_in().await;
    for (from, origin) in [
        ("cross-site", "https://evil.example"),
        ("cross-site", WWW),
        ("same-site", "https://shop.site.example"),
        ("same-site", "null"),
    ] {
        let mut script = htmx(signed_in.clone(), "https://site.example/")
            .header("sec-fetch-site", from)
            .header("origin", origin);
        for reply in [
            script.post("/auth/qq/logout").await,
            script.get("/auth/qq/login").await,
        ] {
            reply.assert_failed(403, "cross_site");
            assert!(!reply.headers.contains_key("hx-redirect"), "{reply:?}");
            assert!(reply.cookies().is_empty(), "{reply:?}");
        }
        assert!(script.jar.contains_key(SESSION), "{from} {origin}");
    }
}

#[tokio::test]
async fn only_the_value_true_is_htmx() {
    let site = Site::new();
    for value in ["false", "", "1", "TRUE"] {
        let mut browser = htmx(site.browser(), "https://site.example/x");
        browser = browser.header("hx-request", value);
        let reply = browser.get("/me").await;
        reply.assert_failed(401, "login_required");
        assert!(!reply.headers.contains_key("hx-redirect"), "{value:?}");
        let logout = browser.post("/auth/qq/logout").await;
        assert_eq!(logout.status, 204);
        assert!(!logout.headers.contains_key("hx-redirect"), "{value:?}");
    }
}

#[tokio::test]
async fn a_signed_in_user_gets_no_redirect() {
    let site = Site::new();
    let mut browser = htmx(site.signed_in().await, "https://site.example/x");
    let reply = browser.get("/me").await;
    assert_eq!(reply.status, 200);
    assert!(!reply.headers.contains_key("hx-redirect"), "{reply:?}");
}
