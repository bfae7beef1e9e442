//! Revoked sessions: what ends them, and what does not.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    routing::{get, post},
};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tower_qq_auth::{
    OpenId, QqAuthLayer, QqAuthLayerBuilder, QqLogin, QqSession, Verdict,
    mock::Endpoint,
    revocation::{InMemoryRevocations, RevocationList},
    session::SessionId,
};

use crate::{
    list::{Mode, TestList},
    site::{Browser, Clock, SESSION, Site, builder, layer, pages, path, qq},
};

mod cache;
mod connections;
mod endings;
mod identities;
mod logins;
mod machines;
mod others;
mod outages;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn site(list: impl RevocationList) -> Site {
    Site::with(|app| app, |layer| layer.revocations(list))
}

/// A site and its layer, which the app calls.
pub(crate) fn site_and_layer(list: impl RevocationList) -> (Site, QqAuthLayer) {
    machine(&Site::new(), list, |layer| layer)
}

/// A machine of a site: the same QQ, keys and clock, but its own layer.
fn machine(
    base: &Site,
    list: impl RevocationList,
    settings: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> (Site, QqAuthLayer) {
    let clock = base.clock.clone();
    let layer = builder(&base.qq)
        .clock(move || clock.now())
        .revocations(list);
    let layer = settings(layer).build().unwrap();
    let router = pages_and_changes().layer(layer.clone());
    let site = Site {
        router,
        ..base.clone()
    };
    (site, layer)
}

/// A site whose `on_login` gets the layer as well.
fn site_with_hook<Fut>(
    list: impl RevocationList,
    hook: impl Fn(QqLogin, QqAuthLayer) -> Fut + Clone + Send + Sync + 'static,
    settings: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> (Site, QqAuthLayer)
where
    Fut: Future<Output = Verdict> + Send + 'static,
{
    let layer_of_hook = Arc::new(OnceLock::<QqAuthLayer>::new());
    let layer = Arc::clone(&layer_of_hook);
    let (site, layer) = machine(&Site::new(), list, |builder| {
        settings(builder).on_login(move |login, _| {
            let verdict = hook(login, layer.get().unwrap().clone());
            async { Ok(verdict.await) }
        })
    });
    layer_of_hook.set(layer.clone()).unwrap();
    (site, layer)
}

/// The usual pages, and routes that read and change the session.
fn pages_and_changes() -> Router {
    let end_others = async |session: QqSession| match session.end_other_sessions().await {
        Ok(session) => Ok((session, "ended")),
        Err(error) => Err(format!("{error:?}")),
    };
    let link = async |session: QqSession| (session.with_account("42").unwrap(), "42");
    let wait = async |session: QqSession| session.ended().await;
    pages()
        .route(
            "/id",
            get(async |session: QqSession| session.id().to_string()),
        )
        .route("/account", post(link))
        .route("/end-others", post(end_others))
        .route("/connection", get(wait))
}

pub(crate) fn openid(site: &Site, person: usize) -> OpenId {
    OpenId::new(site.qq.people()[person].openid.clone()).unwrap()
}

/// Returns the id of the browser's session.
async fn id(browser: &mut Browser) -> SessionId {
    browser.get("/id").await.body.parse().unwrap()
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.clone().whoami().await != Value::Null
}

#[tokio::test]
async fn logout_revokes_the_session_and_no_other() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let stolen = browser.jar.clone();
    let mut elsewhere = site.signed_in().await;
    browser.post("/auth/qq/logout").await;
    browser.jar = stolen;
    assert_eq!(browser.whoami().await, Value::Null);
    assert_eq!(browser.get("/me").await.status, StatusCode::SEE_OTHER);
    assert_ne!(
        elsewhere.whoami().await,
        Value::Null,
        "another session of the same user"
    );
}

#[tokio::test]
async fn revoke_user_ends_all_earlier_sessions_of_that_user() {
    let (site, layer) = site_and_layer(InMemoryRevocations::new());
    let mut phone = site.signed_in().await;
    let mut computer = site.signed_in().await;
    let mut other = site.browser();
    let start = other.get("/auth/qq/login").await;
    let callback = site
        .qq
        .approve_as(start.location(), openid(&site, 1).as_str())
        .unwrap();
    other.get(&path(&callback)).await;

    site.clock.advance(MILLISECOND);
    layer.revoke_user(&openid(&site, 0)).await.unwrap();
    assert_eq!(phone.whoami().await, Value::Null);
    assert_eq!(computer.whoami().await, Value::Null);
    assert_ne!(other.whoami().await, Value::Null);

    site.clock.advance(MILLISECOND);
    phone.sign_in(&site.qq, "/auth/qq/login").await;
    assert_ne!(phone.whoami().await, Value::Null);
    assert_eq!(computer.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_session_is_revoked_by_its_id_and_the_openid_of_its_user() {
    let (site, layer) = site_and_layer(InMemoryRevocations::new());
    let mut phone = site.browser();
    let callback = phone.callback_from(&site.qq, "/auth/qq/login").await;
    // A second request of the callback gets the same session.
    let reload = phone.clone().program();
    phone.get(&callback).await;
    let computer = site.signed_in().await;
    let id = id(&mut phone).await;

    layer.revoke_session(&openid(&site, 1), id).await.unwrap();
    assert!(is_signed_in(&phone).await, "the id of another user");
    assert_eq!(reload.clone().get(&callback).await.location(), "/");

    layer.revoke_session(&openid(&site, 0), id).await.unwrap();
    assert!(!is_signed_in(&phone).await);
    assert!(is_signed_in(&computer).await);
    let reply = reload.clone().get(&callback).await;
    reply.assert_failed(400, "invalid_state");
}

#[tokio::test]
async fn the_hook_knows_the_id_that_ends_the_session() {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&ids);
    let hook = move |login: QqLogin, _| {
        list.lock().unwrap().push(login.session_id().unwrap());
        async { Verdict::allow() }
    };
    let (site, layer) = site_with_hook(InMemoryRevocations::new(), hook, |layer| layer);
    let mut phone = site.signed_in().await;
    let mut computer = site.signed_in().await;
    let ids = ids.lock().unwrap().clone();
    assert_eq!(ids, [id(&mut phone).await, id(&mut computer).await]);
    layer
        .revoke_session(&openid(&site, 0), ids[1])
        .await
        .unwrap();
    assert!(is_signed_in(&phone).await);
    assert!(!is_signed_in(&computer).await);
}

#[tokio::test]
async fn logout_revokes_a_renewed_session_together_with_its_first_cookie() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let first = browser.jar[SESSION].clone();
    site.clock.advance(4 * DAY);
    browser.get("/").await;
    assert_ne!(browser.jar[SESSION], first);
    let mut copy = browser.clone();
    copy.jar.insert(SESSION.into(), first);
    browser.post("/auth/qq/logout").await;
    assert_eq!(copy.whoami().await, Value::Null);
}

#[tokio::test]
async fn revoke_user_without_a_list_is_an_error_that_names_the_setting() {
    let error = layer(&qq()).revoke_user(&OpenId::new("A").unwrap()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("QqAuthLayerBuilder::revocations"), "{error}");
}

#[tokio::test]
async fn a_revoked_session_cannot_finish_a_login_with_an_intent() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let stolen = browser.jar.clone();
    let mut thief = browser.clone().header("sec-fetch-site", "same-origin");
    let start = thief.get("/auth/qq/login?intent=bind").await;
    let callback = path(&site.qq.approve(start.location()).unwrap());
    thief.jar.extend(stolen);
    browser.post("/auth/qq/logout").await;
    thief
        .program()
        .get(&callback)
        .await
        .assert_failed(403, "refused");
}

#[tokio::test]
async fn entries_are_anonymous_and_outlive_the_session() {
    let list = TestList::new();
    let (site, layer) = site_and_layer(list.clone());
    let mut browser = site.signed_in().await;
    browser.post("/auth/qq/logout").await;
    layer.revoke_user(&openid(&site, 0)).await.unwrap();
    let entries = list.raises();
    let [(session, _), (user, _)] = entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(session.user(), user.user());
    assert!(session.session().is_some());
    assert_eq!(user.session(), None);
    assert!(!format!("{entries:?}").contains(&site.qq.people()[0].openid));
    for (_, keep_for) in entries {
        assert!(keep_for >= 30 * DAY && keep_for < 60 * DAY, "{keep_for:?}");
    }
}

#[tokio::test]
async fn parallel_renewals_are_all_accepted() {
    let site = site(InMemoryRevocations::new());
    let mut one = site.signed_in().await;
    site.clock.advance(4 * DAY);
    let mut two = one.clone();
    one.get("/").await;
    two.get("/").await;
    assert_ne!(one.jar, two.jar);
    site.clock.advance(4 * DAY);
    assert_ne!(one.whoami().await, Value::Null);
    assert_ne!(two.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_full_list_evicts_old_entries_and_keeps_the_newest() {
    let site = site(InMemoryRevocations::with_capacity(2));
    let mut copies = Vec::new();
    for _ in 0..6 {
        let mut browser = site.signed_in().await;
        copies.push(browser.clone());
        browser.post("/auth/qq/logout").await;
    }
    assert_eq!(copies[5].whoami().await, Value::Null);
}

#[tokio::test]
async fn a_login_revokes_the_session_that_it_replaces() {
    let site = site(InMemoryRevocations::new());
    let mut browser = site.signed_in().await;
    let replaced = browser.clone();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(replaced.clone().whoami().await, Value::Null);
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn a_failed_login_leaves_the_previous_session_alone() {
    let site = Site::with(
        |app| app,
        |layer| {
            layer
                .revocations(InMemoryRevocations::new())
                .keep_tokens()
                .on_login(async |login, _| {
                    Ok(match login.return_to() {
                        "/refused" => Verdict::refuse("closed").redirect_to("/"),
                        _ => Verdict::allow(),
                    })
                })
        },
    );
    let mut browser = site.signed_in().await.program();
    browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/refused")
        .await;
    assert_ne!(browser.whoami().await, Value::Null);

    // Tokens and picture are too large for a cookie.
    let tokens = json!({
        "access_token": "a".repeat(1024), "refresh_token": "r".repeat(1024),
        "openid": openid(&site, 0).as_str(),
    });
    let picture = format!("https://thirdqq.qlogo.cn/{}", "a".repeat(990));
    let profile = json!({ "ret": 0, "nickname": "小明", "figureurl_qq_2": picture });
    site.qq.reply(Endpoint::Token, tokens.to_string());
    site.qq.reply(Endpoint::UserInfo, profile.to_string());
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    end.assert_failed(424, "misconfigured");
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_logout_ends_the_session_even_if_the_client_leaves() {
    let list = TestList::new();
    let site = site(list.clone());
    let browser = site.signed_in().await;
    list.set(Mode::Slow);
    let mut closing = browser.clone();
    let logout = closing.post("/auth/qq/logout");
    assert!(timeout(10 * MILLISECOND, logout).await.is_err());
    sleep(SECOND).await;
    assert!(!is_signed_in(&browser).await);
}
