//! All places that lead to a page of a trusted origin.

use std::future::ready;

use axum::{Extension, Router, response::Html, routing::get};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tower::BoxError;
use tower_qq_auth::{
    QqAuthLayerBuilder, QqLogin, Verdict,
    hooks::Failure,
    mock::{Endpoint, Fault},
};

use super::{ORIGINS, WWW, return_to::HOSTILE, site};
use crate::{
    answers::links,
    log::Log,
    return_to::{LOCAL, UNSAFE},
    site::{Site, builder},
};

#[tokio::test]
async fn a_logout_follows_the_same_rules() {
    let site = site();
    let location = async |url: &str| {
        let value = utf8_percent_encode(url, NON_ALPHANUMERIC);
        let logout = format!("/auth/qq/logout?return_to={value}");
        site.browser().post(&logout).await.location().to_owned()
    };
    for origin in ORIGINS {
        for path in LOCAL {
            let url = format!("{origin}{path}");
            assert_eq!(location(&url).await, url);
        }
        for path in UNSAFE {
            let url = format!("{origin}{path}");
            assert_eq!(location(&url).await, "/", "{url:?}");
        }
    }
    for url in HOSTILE {
        assert_eq!(location(url).await, "/", "{url:?}");
    }
}

#[tokio::test]
async fn a_verdict_may_send_the_browser_to_a_trusted_origin() {
    let error = "the on_login hook redirects to a page that is not of this site";
    for (url, location) in [
        (
            "https://www.site.example/welcome?a#b",
            "https://www.site.example/welcome?a#b",
        ),
        ("https://www.site.example/auth/qq/logout", "/"),
        ("https://www.site.example//evil.example", "/"),
        ("https://www.site.example.evil.example/", "/"),
        ("https://shop.site.example/", "/"),
    ] {
        for verdict in [Verdict::allow(), Verdict::refuse("no")] {
            let verdict = verdict.redirect_to(url);
            let hook = move |_, _| ready(Ok::<_, BoxError>(verdict.clone()));
            let configure = |layer: QqAuthLayerBuilder| layer.trusted_origins(ORIGINS);
            let site = Site::with(|app| app, |layer| configure(layer).on_login(hook));
            let log = Log::start();
            let end = site.browser().sign_in(&site.qq, "/auth/qq/login").await;
            assert_eq!(end.location(), location, "{url}");
            assert_eq!(log.text().contains(error), location == "/", "{url}");
        }
    }
}

#[tokio::test]
async fn the_button_of_a_failed_login_keeps_the_page() {
    let site = site();
    for (remember, again) in [
        (
            "",
            "/auth/qq/login?return_to=https%3A//www.site.example/x%3Fa%3D1",
        ),
        (
            "&remember=0",
            "/auth/qq/login?remember=0&return_to=https%3A//www.site.example/x%3Fa%3D1",
        ),
    ] {
        let page = "https%3A%2F%2Fwww.site.example%2Fx%3Fa%3D1";
        let login = format!("/auth/qq/login?return_to={page}{remember}");
        site.qq.fault(Endpoint::Token, 1, Fault::Code(100_020));
        let mut browser = site.browser();
        let failed = browser.sign_in(&site.qq, &login).await;
        let button = format!("href=\"{}\"", again.replace('&', "&amp;"));
        assert!(failed.body.contains(&button), "{}", failed.body);
        let home = ("返回首页", "https://www.site.example/");
        assert_eq!(links(&failed)[1], home);
        let end = browser.sign_in(&site.qq, again).await;
        assert_eq!(end.location(), "https://www.site.example/x?a=1");
        let session = end.cookies().concat();
        assert_eq!(session.contains("Max-Age=604800"), remember.is_empty());
    }
}

#[tokio::test]
async fn the_page_of_the_app_for_a_failed_login_leads_home_as_well() {
    let page = |failure: &Failure<'_>| Html(failure.home().to_owned());
    let configure = |layer: QqAuthLayerBuilder| layer.trusted_origins(ORIGINS).failure_page(page);
    let site = Site::with(|app| app, configure);
    for (return_to, home) in [
        ("/x", "/"),
        (
            "https%3A%2F%2Fwww.site.example%2Fx",
            "https://www.site.example/",
        ),
    ] {
        site.qq.fault(Endpoint::Token, 1, Fault::Code(100_020));
        let login = format!("/auth/qq/login?return_to={return_to}");
        let failed = site.browser().sign_in(&site.qq, &login).await;
        assert_eq!((failed.status.as_u16(), &*failed.body), (400, home));
    }
}

#[tokio::test]
async fn a_handler_of_the_callback_sees_the_page() {
    let show = async |Extension(login): Extension<QqLogin>| login.return_to().to_owned();
    let pages = Router::new().route("/auth/qq/callback", get(show));
    let configure = |layer: QqAuthLayerBuilder| layer.forward_callback().trusted_origins(ORIGINS);
    let site = Site::with_pages(|_| pages, configure);
    for (url, page) in [
        (
            "https://www.site.example/x?a=中",
            "https://www.site.example/x?a=%E4%B8%AD",
        ),
        ("https://evil.example/x", "/"),
    ] {
        let value = utf8_percent_encode(url, NON_ALPHANUMERIC);
        let login = format!("/auth/qq/login?return_to={value}");
        let end = site.browser().sign_in(&site.qq, &login).await;
        assert_eq!(end.body, page);
    }
}

#[test]
fn a_login_url_keeps_the_page() {
    let layer = builder(&crate::site::qq()).trusted_origins(ORIGINS);
    let layer = layer.build().unwrap();
    let url = "/auth/qq/login?return_to=https%3A//www.site.example/x%3Fa%3D1";
    assert_eq!(layer.login_url("https://www.site.example/x?a=1"), url);
    assert_eq!(layer.login_url("https://evil.example/x"), "/auth/qq/login");
    let bind = layer.login_url_with_intent("bind", "https://www.site.example/x");
    let url = "/auth/qq/login?intent=bind&return_to=https%3A//www.site.example/x";
    assert_eq!(bind.unwrap(), url);
}

#[tokio::test]
async fn a_form_returns_to_its_page_on_a_trusted_origin() {
    // The text of the first origin is the start of the second.
    let near = "https://site.example:8443";
    let origins = [WWW, near, "https://site.example.cn"];
    let site = Site::with(|app| app, |layer| layer.trusted_origins(origins));
    for (page, return_to) in [
        ("https://site.example/x?a", "?return_to=/x%3Fa"),
        (
            "https://www.site.example/x?a",
            "?return_to=https%3A//www.site.example/x%3Fa",
        ),
        (
            "https://site.example:8443/x",
            "?return_to=https%3A//site.example%3A8443/x",
        ),
        (
            "https://site.example.cn/x",
            "?return_to=https%3A//site.example.cn/x",
        ),
        ("https://site.example", ""),
        ("https://site.example.evil.example/x", ""),
        ("https://site.example@evil.example/x", ""),
        ("https://site.example//evil.example/x", ""),
        ("https://www.site.example//evil.example/x", ""),
        ("https://www.site.example/auth/qq/login", ""),
        ("https://shop.site.example/x", ""),
    ] {
        let reply = site.browser().header("referer", page).post("/form").await;
        let button = format!("href=\"/auth/qq/login{return_to}\"");
        assert!(reply.body.contains(&button), "{page}: {}", reply.body);
    }
}
