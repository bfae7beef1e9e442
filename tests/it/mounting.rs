//! Positions of the layer in an axum app, and the effect of wrong ones.

use axum::{Router, body::Body, extract::Request, routing::get};
use http::StatusCode;
use tower::{Layer, ServiceExt};
use tower_qq_auth::{QqAuthLayer, QqUser};

use crate::{
    site::{Browser, Clock, Site, builder, pages, qq},
    socket::{Local, serve},
};

/// A site whose layer is mounted by `mount`. Its clock stands still.
pub(crate) fn site(mount: impl FnOnce(QqAuthLayer) -> Router) -> Site {
    let (qq, clock) = (qq(), Clock::new());
    let time = clock.clone();
    let layer = builder(&qq).clock(move || time.now()).build().unwrap();
    let router = mount(layer);
    Site { qq, router, clock }
}

/// A browser of this site with a session from another site that has the same keys and time.
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
async fn a_layer_after_the_routes_signs_in() {
    assert_signs_in(&site(|layer| pages().layer(layer))).await;
}

#[tokio::test]
async fn a_layer_without_routes_still_answers_its_paths() {
    let site = site(|layer| Router::new().layer(layer));
    let mut browser = site.browser();
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(end.location(), "/");
    assert_eq!(browser.get("/").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_layer_around_a_router_signs_in() {
    assert_signs_in(&site(|layer| {
        Router::new().fallback_service(layer.layer(pages()))
    }))
    .await;
}

#[tokio::test]
async fn plain_hyper_serves_a_layered_router() {
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
async fn axum_serves_a_layered_router_with_an_axum_body() {
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
async fn a_route_layer_reads_sessions_but_has_no_login() {
    let site = site(|layer| pages().route_layer(layer));
    assert_has_no_login(&site, StatusCode::NOT_FOUND, "").await;
    let mut browser = signed_in_elsewhere(&site).await;
    assert!(browser.whoami().await["openid"].is_string());
}

#[tokio::test]
async fn the_layer_covers_a_fallback_added_before_it() {
    let site = site(|layer| {
        let fallback = async |user: QqUser| format!("fallback for {}", user.nickname());
        pages().fallback(fallback).layer(layer)
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
async fn a_fallback_added_after_the_layer_shadows_the_login_paths() {
    let site = site(|layer| pages().layer(layer).fallback(async || "fallback"));
    assert_has_no_login(&site, StatusCode::OK, "fallback").await;
    let mut browser = signed_in_elsewhere(&site).await;
    assert!(browser.whoami().await["openid"].is_string());
}

#[tokio::test]
async fn a_layer_in_a_nested_router_has_no_login() {
    let site = site(|layer| Router::new().nest("/x", pages().layer(layer)));
    assert_has_no_login(&site, StatusCode::NOT_FOUND, "").await;
    for path in ["/x/auth/qq/login", "/x/auth/qq/callback?code=1&state=2"] {
        let reply = site.browser().get(path).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn logins_return_to_the_full_path_of_a_nested_page() {
    let site = site(|layer| {
        let inner = Router::new().nest("/y", pages());
        Router::new()
            .nest("/x", inner)
            .nest_service("/z", pages())
            .layer(layer)
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
async fn a_route_added_after_the_layer_explains_how_to_fix_it() {
    let site = site(|layer| {
        pages()
            .layer(layer)
            .route("/late", get(async |_: QqUser| "signed in"))
            .route(
                "/late/home",
                get(async |user: Option<QqUser>| match user {
                    Some(_) => "signed in",
                    None => "signed out",
                }),
            )
    });
    assert_signs_in(&site).await;
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(browser.get("/late/home").await.body, "signed out");
    let reply = browser.get("/late").await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.header("www-authenticate"), "QQ");
    for word in [
        "`QqUser`",
        ".layer(QqAuthLayer",
        "after every route",
        "outermost",
    ] {
        assert!(reply.body.contains(word), "{word}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_layer_added_last_covers_merged_routers() {
    let late = || Router::new().route("/late", get(async |_: QqUser| "signed in"));
    let site = site(|layer| pages().merge(late()).layer(layer));
    assert_signs_in(&site).await;
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(browser.get("/late").await.body, "signed in");
}

#[tokio::test]
async fn a_router_merged_after_the_layer_shadows_the_login_paths() {
    let late = Router::new().route("/late", get(async |_: QqUser| "signed in"));
    let site = site(|layer| pages().layer(layer).merge(late));
    assert_has_no_login(&site, StatusCode::NOT_FOUND, "").await;
    let late = site.browser().get("/late").await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_layer_mounted_twice_signs_in_once() {
    let site = site(|layer| pages().layer(layer.clone()).layer(layer));
    assert_signs_in(&site).await;
}
