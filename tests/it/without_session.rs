//! `without_session`: apps with their own sessions.

use axum::{
    Router,
    routing::{get, post},
};
use http::StatusCode;
use serde_json::Value;
use tower_qq_auth::{QqAuthLayerBuilder, QqLogin};

use crate::site::{SESSION, Site};

fn site() -> Site {
    Site::with_pages(
        |_| {
            Router::new().route(
                "/auth/qq/callback",
                get(async |login: QqLogin| login.return_to().to_owned()),
            )
        },
        |layer| layer.without_session(),
    )
}

#[tokio::test]
async fn ignores_old_session_cookies() {
    let before = Site::new().signed_in().await;
    let mut browser = site().browser();
    browser.jar = before.jar;
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn the_handler_gets_the_login_and_no_session_cookie_is_set() {
    let site = site();
    let mut browser = site.browser();
    let end = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
        .await;
    assert_eq!((end.status, end.body.as_str()), (StatusCode::OK, "/x"));
    assert!(!browser.jar.contains_key(SESSION));
    assert_eq!(browser.pending_logins(), 0);
}

#[tokio::test]
async fn the_logout_path_belongs_to_the_app() {
    let site = site();
    assert_eq!(
        site.browser().post("/auth/qq/logout").await.status,
        StatusCode::NOT_FOUND
    );
    let end = site
        .browser()
        .sign_in(&site.qq, "/auth/qq/login?return_to=/auth/qq/logout")
        .await;
    assert_eq!(end.body, "/auth/qq/logout");
}

#[tokio::test]
async fn a_custom_logout_path_belongs_to_the_app_in_any_order_of_settings() {
    type Settings = fn(QqAuthLayerBuilder) -> QqAuthLayerBuilder;
    let orders: [Settings; 2] = [
        |layer| layer.logout_path("/bye").without_session(),
        |layer| layer.without_session().logout_path("/bye"),
    ];
    for order in orders {
        let bye = |_: &_| Router::new().route("/bye", post(async || "the app's"));
        let site = Site::with_pages(bye, order);
        assert_eq!(site.browser().post("/bye").await.body, "the app's");
    }
}

#[tokio::test]
async fn the_login_extractor_explains_a_missing_forward_callback() {
    let mut browser = Site::new().browser();
    browser.router = browser
        .router
        .route("/login", get(async |_: QqLogin| "never"));
    let reply = browser.get("/login").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(reply.body.contains(".forward_callback()"));
}

#[tokio::test]
async fn an_intent_needs_the_account_of_hook() {
    let mut browser = site().browser().header("sec-fetch-site", "same-origin");
    let reply = browser
        .get("/auth/qq/login?intent=bind&return_to=/settings")
        .await;
    assert_eq!(reply.status, StatusCode::FAILED_DEPENDENCY);
    assert!(reply.body.contains("href=\"/settings\""));
    assert_eq!(browser.pending_logins(), 0);
}
