//! `QqAuthLayer::begin`: sessions of logins that did not come by the callback.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    response::{IntoResponse, Response},
    routing::post,
};
use http::{StatusCode, request::Parts};
use tower::BoxError;
use tower_qq_auth::{LoginErrorKind, QqAuthLayer, QqAuthLayerBuilder, QqLogin, Verdict};

use crate::{
    log::Log,
    shown::{self, session},
    site::{SESSION, Site},
};

/// A site with a page that signs in the user of the given login.
fn site_with(
    login: &Arc<Mutex<Option<QqLogin>>>,
    configure: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> (Site, QqAuthLayer) {
    let login = Arc::clone(login);
    let pages = |layer: &QqAuthLayer| {
        let layer = layer.clone();
        let log_in = async move || -> Response {
            let login = login.lock().unwrap().clone().unwrap();
            match layer.begin(login).await {
                Ok(session) => (session, "welcome").into_response(),
                Err(error) => (StatusCode::FORBIDDEN, error.to_string()).into_response(),
            }
        };
        shown::page().route("/log-in", post(log_in))
    };
    Site::with_layer(pages, configure)
}

/// A site whose page signs in the first user of the mock.
async fn site(
    configure: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> (Site, QqAuthLayer) {
    let login = Arc::default();
    let (site, layer) = site_with(&login, configure);
    *login.lock().unwrap() = Some(site.bare_login(0).await);
    (site, layer)
}

#[tokio::test]
async fn a_program_s_login_becomes_a_session() {
    let (site, _) = site(|layer| layer.keep_tokens()).await;
    let mut browser = site.browser();
    let reply = browser.post("/log-in").await;
    let [cookie] = reply.cookies()[..] else {
        panic!("{reply:?}")
    };
    assert!(cookie.starts_with(SESSION) && cookie.ends_with("Max-Age=604800"));
    assert_eq!(reply.header("cache-control"), "no-store");
    let user = browser.whoami().await;
    assert_eq!(user["openid"], site.qq.people()[0].openid);
    assert!(session(&mut browser).await["access_token"].is_string());
}

#[tokio::test]
async fn the_hook_gets_an_empty_head_and_the_id_of_the_session() {
    let calls: Arc<Mutex<Vec<(QqLogin, Parts)>>> = Arc::default();
    let log = calls.clone();
    let (site, layer) = site(|layer| {
        layer.on_login(async move |login, head| {
            log.lock().unwrap().push((login, head));
            Ok(Verdict::allow().with_account("42").redirect_to("/welcome"))
        })
    })
    .await;
    let mut browser = site.browser();
    let reply = browser.post("/log-in").await;
    assert_eq!((&*reply.body, reply.status), ("welcome", StatusCode::OK));
    let session = session(&mut browser).await;
    let login = site.bare_login(0).await;
    assert_eq!(login.session_id(), None);
    let begun = layer.begin(login).await.unwrap();
    assert_eq!(begun.account(), Some("42"));

    let calls = calls.lock().unwrap();
    let ids = calls.iter().map(|(login, _)| login.session_id());
    assert_eq!(session["account"], "42");
    assert_eq!(
        ids.map(|id| id.unwrap().to_string()).collect::<Vec<_>>(),
        [
            session["id"].as_str().unwrap().to_owned(),
            begun.id().to_string()
        ]
    );
    let (login, head) = &calls[0];
    assert_eq!(login.user().openid().as_str(), site.qq.people()[0].openid);
    assert_eq!((&*head.uri.to_string(), head.headers.len()), ("/", 0));
}

#[tokio::test]
async fn the_hook_of_a_callback_gets_the_id_too() {
    let ids: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = ids.clone();
    let hook = async move |login: QqLogin, _| {
        log.lock()
            .unwrap()
            .push(login.session_id().unwrap().to_string());
        Ok(Verdict::allow())
    };
    let site = Site::with_pages(|_| shown::page(), |layer| layer.on_login(hook));
    let mut browser = site.signed_in().await;
    let id = session(&mut browser).await["id"].clone();
    assert_eq!(*ids.lock().unwrap(), [id.as_str().unwrap()]);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_the_hook_does_not_allow_starts_no_session() {
    type Hook = fn() -> Result<Verdict, BoxError>;
    let hooks: [(Hook, LoginErrorKind); 5] = [
        (|| Ok(Verdict::refuse("banned")), LoginErrorKind::Refused),
        (
            || Ok(Verdict::refuse("banned").redirect_to("/no")),
            LoginErrorKind::Refused,
        ),
        (|| Err("no database".into()), LoginErrorKind::AppFailed),
        (|| panic!("no database"), LoginErrorKind::AppFailed),
        (
            || Ok(Verdict::allow().with_account("")),
            LoginErrorKind::AppFailed,
        ),
    ];
    for (hook, kind) in hooks {
        let (site, layer) = site(|layer| layer.on_login(async move |_, _| hook())).await;
        let error = layer.begin(site.bare_login(0).await).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let log = Log::start();
        let mut browser = site.browser();
        let reply = browser.post("/log-in").await;
        assert_eq!((reply.status.as_u16(), reply.cookies().len()), (403, 0));
        let expected = format!("login ended: {}", kind.code());
        assert!(log.text().contains(&expected), "{}", log.text());
    }
    let late = async |_, _| {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok(Verdict::allow())
    };
    let (site, layer) = site(|layer| layer.on_login(late)).await;
    let error = layer.begin(site.bare_login(0).await).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::AppFailed);
}

#[tokio::test]
async fn a_new_session_replaces_that_of_the_request() {
    let login: Arc<Mutex<Option<QqLogin>>> = Arc::default();
    let (site, _) = site_with(&login, |layer| layer);
    let mut browser = site.signed_in().await;
    let before = session(&mut browser).await;
    for person in [0, 1] {
        *login.lock().unwrap() = Some(site.bare_login(person).await);
        browser.post("/log-in").await;
        let after = session(&mut browser).await;
        assert_ne!(after["id"], before["id"]);
        assert_eq!(after["user"]["openid"], site.qq.people()[person].openid);
    }
}

#[tokio::test]
async fn a_layer_without_sessions_begins_none_and_asks_no_hook() {
    let calls: Arc<Mutex<usize>> = Arc::default();
    let count = calls.clone();
    let (site, layer) = site(|layer| {
        layer.without_session().on_login(async move |_, _| {
            *count.lock().unwrap() += 1;
            Ok(Verdict::allow())
        })
    })
    .await;
    let error = layer.begin(site.bare_login(0).await).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::Misconfigured);
    assert!(error.to_string().contains("without_session"), "{error}");
    assert_eq!(*calls.lock().unwrap(), 0);
    assert_eq!(site.browser().post("/log-in").await.cookies().len(), 0);
}

#[cfg(feature = "revocation")]
mod with_a_list {
    use axum::Router;
    use serde_json::Value;
    use tower_qq_auth::{SignOut, revocation::InMemoryRevocations};

    use super::*;

    #[tokio::test]
    async fn every_copy_of_the_replaced_session_ends() {
        let list = InMemoryRevocations::new();
        let (site, _) = site(|layer| layer.revocations(list)).await;
        let mut browser = site.signed_in().await;
        let mut elsewhere = site.signed_in().await;
        let mut copy = browser.clone();
        browser.post("/log-in").await;
        assert_ne!(browser.whoami().await, Value::Null);
        assert_eq!(copy.whoami().await, Value::Null, "a copy of the old one");
        assert_ne!(elsewhere.whoami().await, Value::Null, "another device");
    }

    #[tokio::test]
    async fn a_session_begun_beside_sign_out_is_not_set() {
        let list = InMemoryRevocations::new();
        let (base, layer) = site(|layer| layer.revocations(list)).await;
        let begun = layer.begin(base.bare_login(1).await).await.unwrap();
        let page = post(async move || (begun, SignOut, "left"));
        let mut browser = base.signed_in().await;
        let mut copy = browser.clone();
        browser.router = Router::new().route("/both", page).layer(layer);
        browser.post("/both").await;
        assert!(browser.jar.is_empty());
        assert_eq!(copy.whoami().await, Value::Null, "the old one has ended");
    }
}
