//! Where the layer can be put in axum, and what comes of it where it cannot.

use axum::{Router, body::Body, extract::Request, routing::get};
use http::StatusCode;
use tower::{Layer, ServiceExt};
use tower_qq_auth::{QqAuthLayer, QqUser};

use crate::{
    site::{Browser, Clock, Site, layer, pages, qq},
    socket::{Local, serve},
};

/// A site whose layer is put on by hand. Nothing in it moves its clock.
fn site(mount: impl FnOnce(QqAuthLayer) -> Router) -> Site {
    let (qq, clock) = (qq(), Clock::new());
    let time = clock.clone();
    let router = mount(layer(&qq).clock(move || time.now()));
    Site { qq, router, clock }
}

/// A browser of this site in which somebody is signed in, by another site that has the same keys and time.
async fn signed_in_elsewhere(site: &Site) -> Browser {
    let mut browser = Site::new().signed_in().await;
    browser.router = site.router.clone();
    browser
}

async fn assert_signs_in(site: &Site) {
    let mut browser = site.browser();
    let end = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/deep/page")
        .await;
    assert_eq!(end.location(), "/deep/page");
    let page = browser.get("/deep/page").await;
    assert_eq!(page.body, site.qq.people()[0].openid);
    assert_eq!(browser.post("/auth/qq/logout").await.location(), "/");
    let page = browser.get("/deep/page").await;
    assert_eq!(page.location(), "/auth/qq/login?return_to=/deep/page");
}

async fn assert_has_no_login(site: &Site, status: StatusCode, body: &str) {
    for path in ["/auth/qq/login", "/auth/qq/callback?code=1&state=2"] {
        let reply = site.browser().get(path).await;
        assert_eq!((reply.status, reply.body.as_str()), (status, body));
    }
    let reply = site.browser().post("/auth/qq/logout").await;
    assert_eq!((reply.status, reply.body.as_str()), (status, body));
}

#[tokio::test]
async fn after_the_routes_it_signs_in() {
    assert_signs_in(&site(|qq| pages().layer(qq))).await;
}

#[tokio::test]
async fn without_any_route_it_answers_its_paths() {
    let site = site(|qq| Router::new().layer(qq));
    let mut browser = site.browser();
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(end.location(), "/");
    assert_eq!(browser.get("/").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn around_a_whole_router_it_signs_in() {
    assert_signs_in(&site(|qq| {
        Router::new().fallback_service(qq.layer(pages()))
    }))
    .await;
}

#[tokio::test]
async fn a_layered_router_is_served_as_it_is() {
    let Local {
        listener,
        layer,
        qq,
        mut browser,
        ..
    } = Local::new().await;
    serve(listener, layer.layer(pages()));
    let end = browser
        .sign_in(&qq, "/auth/qq/login?return_to=/deep/page")
        .await;
    assert_eq!(end.location(), "/deep/page");
    assert_eq!(browser.get("/deep/page").await.body, qq.people()[0].openid);
}

#[tokio::test]
async fn axum_serves_a_layered_router_once_its_body_is_that_of_axum() {
    let Local {
        listener,
        layer,
        qq,
        mut browser,
        ..
    } = Local::new().await;
    let service = layer.layer(pages());
    let service = ServiceExt::<Request>::map_response(service, |response| response.map(Body::new));
    let service = axum::ServiceExt::<Request>::into_make_service(service);
    tokio::spawn(axum::serve(listener, service).into_future());
    let end = browser.sign_in(&qq, "/auth/qq/login").await;
    assert_eq!(end.location(), "/");
    assert_eq!(browser.get("/").await.body, qq.people()[0].nickname);
}

#[tokio::test]
async fn a_route_layer_knows_who_is_signed_in_but_has_no_login() {
    let site = site(|qq| pages().route_layer(qq));
    assert_has_no_login(&site, StatusCode::NOT_FOUND, "").await;
    let mut browser = signed_in_elsewhere(&site).await;
    assert!(browser.whoami().await["openid"].is_string());
}

#[tokio::test]
async fn a_fallback_before_the_layer_is_inside_it() {
    let site = site(|qq| {
        let fallback = async |user: QqUser| format!("fallback for {}", user.nickname());
        pages().fallback(fallback).layer(qq)
    });
    assert_signs_in(&site).await;
    let mut browser = site.browser();
    let login = browser.get("/no/route?a=b").await.location().to_owned();
    assert_eq!(login, "/auth/qq/login?return_to=/no/route%3Fa%3Db");
    let end = browser.sign_in(&site.qq, &login).await;
    assert_eq!(end.location(), "/no/route?a=b");
    let nickname = &site.qq.people()[0].nickname;
    assert_eq!(
        browser.get("/no/route?a=b").await.body,
        format!("fallback for {nickname}")
    );
}

#[tokio::test]
async fn a_fallback_after_the_layer_answers_in_its_place() {
    let site = site(|qq| pages().layer(qq).fallback(async || "fallback"));
    assert_has_no_login(&site, StatusCode::OK, "fallback").await;
    let mut browser = signed_in_elsewhere(&site).await;
    assert!(browser.whoami().await["openid"].is_string());
}

#[tokio::test]
async fn in_a_nested_router_it_has_no_login() {
    let site = site(|qq| Router::new().nest("/x", pages().layer(qq)));
    assert_has_no_login(&site, StatusCode::NOT_FOUND, "").await;
    for path in ["/x/auth/qq/login", "/x/auth/qq/callback?code=1&state=2"] {
        let reply = site.browser().get(path).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_a_nested_router_is_come_back_to_by_its_full_path() {
    let site = site(|qq| {
        let inner = Router::new().nest("/y", pages());
        Router::new()
            .nest("/x", inner)
            .nest_service("/z", pages())
            .layer(qq)
    });
    for page in ["/x/y/deep/page?a=b&c=%2F", "/z/deep/page?a=b&c=%2F"] {
        let mut browser = site.browser();
        let login = browser.get(page).await.location().to_owned();
        let end = browser.sign_in(&site.qq, &login).await;
        assert_eq!(end.location(), page);
        let body = browser.get(end.location()).await.body;
        assert_eq!(body, site.qq.people()[0].openid);
    }
}

#[tokio::test]
async fn a_route_after_the_layer_knows_nobody_and_says_what_to_do() {
    let site = site(|qq| {
        pages()
            .layer(qq)
            .route("/late", get(async |_: QqUser| "somebody"))
            .route(
                "/late/home",
                get(async |user: Option<QqUser>| match user {
                    Some(_) => "somebody",
                    None => "nobody",
                }),
            )
    });
    assert_signs_in(&site).await;
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(browser.get("/late/home").await.body, "nobody");
    let reply = browser.get("/late").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    for word in ["`QqUser`", ".layer(QqAuthLayer", "last", "outermost"] {
        assert!(reply.body.contains(word), "{word}: {}", reply.body);
    }
}

#[tokio::test]
async fn merged_routers_are_all_inside_a_layer_that_comes_last() {
    let late = || Router::new().route("/late", get(async |_: QqUser| "somebody"));
    let site = site(|qq| pages().merge(late()).layer(qq));
    assert_signs_in(&site).await;
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(browser.get("/late").await.body, "somebody");
}

#[tokio::test]
async fn a_router_merged_after_the_layer_takes_the_login_away() {
    let late = Router::new().route("/late", get(async |_: QqUser| "somebody"));
    let site = site(|qq| pages().layer(qq).merge(late));
    assert_has_no_login(&site, StatusCode::NOT_FOUND, "").await;
    let late = site.browser().get("/late").await;
    assert_eq!(late.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn put_on_twice_it_signs_in_once() {
    let site = site(|qq| pages().layer(qq.clone()).layer(qq));
    assert_signs_in(&site).await;
}
