//! Rule 2: `SignOut` always counts.

use axum::{Extension, Router, extract::Path, response::AppendHeaders, routing::get};
use http::{StatusCode, header};
use serde_json::Value;
use tower_qq_auth::{LoginRequired, QqLogin, QqSession, SignOut};

use super::{CALLBACK_PATH, STATUSES, linked, session_cookies, site_with};
use crate::site::{SESSION, Site};

#[tokio::test]
async fn rule_2_sign_out_counts_whatever_the_status() {
    let leave =
        async |Path(status): Path<u16>| (StatusCode::from_u16(status).unwrap(), SignOut, "left");
    let site = site_with(Router::new().route("/leave/{status}", get(leave)));
    for status in STATUSES {
        let mut browser = site.signed_in().await;
        let reply = browser.get(&format!("/leave/{status}")).await;
        assert_eq!(reply.status.as_u16(), status);
        assert_eq!(reply.body, "left");
        assert_eq!(session_cookies(&reply).len(), 1, "{reply:?}");
        assert_eq!(browser.whoami().await, Value::Null, "{status}");
        assert!(browser.jar.is_empty(), "{status}");
    }
}

#[tokio::test]
async fn rule_2_sign_out_makes_a_public_response_no_store() {
    let headers = [
        (header::CACHE_CONTROL, "public, max-age=600"),
        (header::EXPIRES, "Fri, 31 Dec 2100 23:59:59 GMT"),
    ];
    let site =
        site_with(Router::new().route("/leave", get(async move || (headers, SignOut, "left"))));
    let mut browser = site.signed_in().await;
    let reply = browser.get("/leave").await;
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(!reply.headers.contains_key("expires"));
    assert_eq!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn rule_2_sign_out_counts_beside_login_required() {
    let leave = async || (StatusCode::UNAUTHORIZED, SignOut, Extension(LoginRequired));
    let site = site_with(Router::new().route("/leave", get(leave)));
    let mut browser = site.signed_in().await;
    let reply = browser.get("/leave").await;
    assert_eq!(reply.location(), "/auth/qq/login?return_to=/leave");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(browser.whoami().await, Value::Null);
    let mut program = site.signed_in().await.program();
    let reply = program.get("/leave").await;
    assert_eq!(reply.problem()["code"], "login_required");
    assert_eq!(program.whoami().await, Value::Null);
}

#[tokio::test]
async fn rule_2_sign_out_counts_on_a_forwarded_callback() {
    let pages = Router::new().route(CALLBACK_PATH, get(async |_: QqLogin| (SignOut, "no")));
    let site = Site::with_pages(|_| pages, |layer| layer.forward_callback());
    let mut browser = site.browser();
    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(reply.body, "no");
    let [cookie] = &session_cookies(&reply)[..] else {
        panic!("{reply:?}")
    };
    assert!(cookie.ends_with("Max-Age=0"), "{cookie}");
    assert!(browser.jar.is_empty(), "the login cookie is gone as well");
}

#[tokio::test]
async fn rule_2_sign_out_beats_a_session_and_a_session_cookie_of_the_app() {
    let own = AppendHeaders([(header::SET_COOKIE, format!("{SESSION}=mine; Path=/"))]);
    let pages = Router::new()
        .route(
            "/before",
            get(async |it: QqSession| (SignOut, linked(it), "left")),
        )
        .route(
            "/after",
            get(async |it: QqSession| (linked(it), SignOut, "left")),
        )
        .route("/own", get(async move || (own, SignOut, "left")));
    let site = Site::with_pages(|_| pages, |layer| layer);
    for page in ["/before", "/after", "/own"] {
        let mut browser = site.signed_in().await;
        let reply = browser.get(page).await;
        assert!(reply.cookies().last().unwrap().ends_with("Max-Age=0"));
        assert!(browser.jar.is_empty(), "{page}: {reply:?}");
    }
}

#[cfg(feature = "revocation")]
#[tokio::test]
async fn rule_2_sign_out_ends_every_copy_of_the_cookie() {
    let pages = Router::new()
        .route(
            "/leave",
            get(async || (StatusCode::NOT_FOUND, SignOut, "left")),
        )
        .route(
            CALLBACK_PATH,
            get(async |_: QqLogin, it: QqSession| (it, "ok")),
        );
    let list = tower_qq_auth::revocation::InMemoryRevocations::new();
    let site = Site::with_pages(
        |_| pages,
        |layer| layer.forward_callback().revocations(list),
    );
    let mut browser = site.browser();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    let mut copy = browser.clone();
    assert_ne!(copy.whoami().await, Value::Null);
    browser.get("/leave").await;
    assert_eq!(copy.whoami().await, Value::Null);
}
