//! `RequireQqUser`: routes for signed-in users only.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use http::{Request, Response, StatusCode};
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tower_qq_auth::RequireQqUser;

use crate::site::Site;

/// A public route and a group of routes behind the guard.
fn groups() -> Router {
    let members = Router::new()
        .route("/inbox", get(async || "inbox"))
        .route("/inbox/send", post(async || "sent"))
        .route_layer(RequireQqUser);
    Router::new()
        .route("/open", get(async || "open"))
        .merge(members)
}

#[tokio::test]
async fn guarded_routes_require_a_signed_in_user() {
    let site = Site::with_pages(|_| groups(), |layer| layer);
    let mut browser = site.browser();
    assert_eq!(browser.get("/open").await.body, "open");
    let redirect = browser.get("/inbox?page=2").await;
    assert_eq!(
        redirect.location(),
        "/auth/qq/login?return_to=/inbox%3Fpage%3D2"
    );
    let form = browser.post("/inbox/send").await;
    assert_eq!(form.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        browser.get("/inbox/nothing").await.status,
        StatusCode::NOT_FOUND
    );
    let refused = browser.clone().program().get("/inbox").await;
    refused.assert_failed(401, "login_required");
    assert_eq!(
        refused.header("www-authenticate"),
        "QQ login_url=\"/auth/qq/login\""
    );
    assert_eq!(refused.problem()["login_url"], "/auth/qq/login");

    browser.sign_in(&site.qq, redirect.location()).await;
    assert_eq!(browser.get("/inbox").await.body, "inbox");
    assert_eq!(browser.post("/inbox/send").await.body, "sent");

    let mut without_layer = site.browser();
    without_layer.router = groups();
    let page = without_layer.get("/inbox").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert_eq!(page.header("www-authenticate"), "QQ");
    assert!(page.body.contains("QqAuthLayer"), "{}", page.body);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_holds_no_concurrency_permit() {
    let app =
        service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::from("app"))));
    let mut one = RequireQqUser.layer(ConcurrencyLimit::new(app, 1));
    let mut other = one.clone();
    let service = one.ready().await.unwrap();
    let reply = service.call(Request::new(Body::empty())).await.unwrap();
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    let free = timeout(Duration::from_secs(1), other.ready()).await;
    assert!(free.is_ok(), "the refused request still holds the permit");
}

#[tokio::test]
async fn a_refused_form_leads_back_to_the_page_it_came_from() {
    let site = Site::new();
    let to = |page: &str| format!("/auth/qq/login?return_to={page}");
    let cases = [
        ("https://site.example/cart?a=1&b", to("/cart%3Fa%3D1%26b")),
        ("https://site.example/a\"b", to("/a%22b")),
        ("https://site.example/", "/auth/qq/login".into()),
        ("https://site.example", "/auth/qq/login".into()),
        (
            "https://site.example.evil.example/cart",
            "/auth/qq/login".into(),
        ),
        (
            "https://site.example@evil.example/cart",
            "/auth/qq/login".into(),
        ),
        (
            "https://site.example//evil.example",
            "/auth/qq/login".into(),
        ),
        ("http://site.example/cart", "/auth/qq/login".into()),
        ("https://evil.example/cart", "/auth/qq/login".into()),
        ("/cart", "/auth/qq/login".into()),
        ("", "/auth/qq/login".into()),
    ];
    for (referer, login) in cases {
        let page = site
            .browser()
            .header("referer", referer)
            .post("/form")
            .await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
        assert!(
            page.body.contains(&format!("href=\"{login}\"")),
            "{referer}"
        );
        let challenge = format!("QQ login_url=\"{login}\"");
        assert_eq!(page.header("www-authenticate"), challenge);
    }
}
