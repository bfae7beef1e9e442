//! Revoking by identity: one user of one QQ app.

use tower_qq_auth::{Identity, QqUser};

use super::*;
use crate::{
    phone::{self, PHONE_APP},
    site::APP_ID,
};

const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";

fn at(app_id: &str) -> Identity {
    Identity::new(app_id, &OpenId::new(OPENID).unwrap()).unwrap()
}

/// A browser with a new session of this user.
fn browser_of(site: &Site, layer: &QqAuthLayer, user: impl Into<Identity>) -> Browser {
    let cookie = layer.session_cookie(&QqUser::new(user), None).unwrap();
    let mut browser = site.browser();
    let value = cookie.split_once('=').unwrap().1;
    browser.jar.insert(SESSION.into(), value.into());
    browser
}

#[tokio::test]
async fn revoke_user_ends_the_sessions_of_that_app_alone() {
    let alone = OpenId::new(OPENID).unwrap();
    let cases: [(Identity, &str); 4] = [
        (at(PHONE_APP), PHONE_APP),
        (at(APP_ID), APP_ID),
        (alone.clone().into(), APP_ID),
        (QqUser::new(&alone).identity(), APP_ID),
    ];
    for (revoked, app_id) in cases {
        let (site, layer) = site_and_layer(InMemoryRevocations::new());
        let browsers = [APP_ID, PHONE_APP, "1106000001"]
            .map(|app_id| (app_id, browser_of(&site, &layer, at(app_id))));
        let plain = browser_of(&site, &layer, &alone);
        layer.revoke_user(&revoked).await.unwrap();
        for (of, browser) in browsers {
            let is_out = of == app_id;
            assert_eq!(is_signed_in(&browser).await, !is_out, "{revoked}: {of}");
        }
        assert_eq!(is_signed_in(&plain).await, app_id != APP_ID, "{revoked}");
    }
}

#[tokio::test]
async fn revoke_session_ends_the_session_of_that_app_alone() {
    for (own, other) in [(APP_ID, PHONE_APP), (PHONE_APP, APP_ID)] {
        let (site, layer) = site_and_layer(InMemoryRevocations::new());
        let mut browser = browser_of(&site, &layer, at(own));
        let second = browser_of(&site, &layer, at(own));
        let id = id(&mut browser).await;
        layer.revoke_session(&at(other), id).await.unwrap();
        assert!(is_signed_in(&browser).await, "{own}");
        if own == PHONE_APP {
            let alone = OpenId::new(OPENID).unwrap();
            layer.revoke_session(alone, id).await.unwrap();
            assert!(
                is_signed_in(&browser).await,
                "an openid alone is of the layer's app"
            );
        }
        layer.revoke_session(at(own), id).await.unwrap();
        assert!(!is_signed_in(&browser).await, "{own}");
        assert!(is_signed_in(&second).await, "{own}");
    }
}

#[tokio::test]
async fn sessions_from_before_the_list_end_by_identity_as_well() {
    for (revoked, kept) in [(APP_ID, PHONE_APP), (PHONE_APP, APP_ID)] {
        let base = Site::new();
        let clock = base.clock.clone();
        let before = builder(&base.qq)
            .clock(move || clock.now())
            .build()
            .unwrap();
        let browsers = [revoked, kept].map(|app_id| browser_of(&base, &before, at(app_id)));
        let (site, layer) = machine(&base, InMemoryRevocations::new(), |layer| layer);
        let [revoked_browser, kept_browser] = browsers.map(|mut browser| {
            browser.router = site.router.clone();
            browser
        });
        assert!(is_signed_in(&revoked_browser).await);
        layer.revoke_user(at(revoked)).await.unwrap();
        assert!(!is_signed_in(&revoked_browser).await, "{revoked}");
        assert!(is_signed_in(&kept_browser).await, "{kept}");
    }
}

#[tokio::test]
async fn end_other_sessions_ends_those_of_the_same_app() {
    for (own, other) in [(APP_ID, PHONE_APP), (PHONE_APP, APP_ID)] {
        let (site, layer) = site_and_layer(InMemoryRevocations::new());
        let mut browser = browser_of(&site, &layer, at(own));
        let second = browser_of(&site, &layer, at(own));
        let elsewhere = browser_of(&site, &layer, at(other));
        assert_eq!(browser.post("/end-others").await.body, "ended");
        assert!(is_signed_in(&browser).await, "{own}");
        assert!(!is_signed_in(&second).await, "{own}");
        assert!(is_signed_in(&elsewhere).await, "{other}");
    }
}

#[tokio::test]
async fn logout_ends_every_copy_of_a_phone_s_session() {
    let list = InMemoryRevocations::new();
    let (site, _) = phone::site_with(|app| app, |layer| layer.revocations(list));
    let mut phone = phone::signed_in(&site, 0).await;
    let (copy, second) = (phone.clone(), phone::signed_in(&site, 0).await);
    phone.post("/auth/qq/logout").await;
    assert!(!is_signed_in(&copy).await);
    assert!(is_signed_in(&second).await);
}

#[tokio::test]
async fn a_banned_phone_is_out_and_the_same_user_stays_on_the_web() {
    let list = InMemoryRevocations::new();
    let (site, layer) = phone::site_with(|app| app, |layer| layer.revocations(list));
    let mut phone = phone::signed_in(&site, 0).await;
    let web = site.signed_in().await;
    let user = phone.whoami().await;
    let user: QqUser = serde_json::from_value(user).unwrap();
    layer.revoke_user(user.openid()).await.unwrap();
    assert!(
        is_signed_in(&phone).await,
        "the phone's openid is none of the website's app"
    );
    layer.revoke_user(user.identity()).await.unwrap();
    assert!(!is_signed_in(&phone).await);
    assert!(is_signed_in(&web).await);
    // Unless the hook refuses, the user can sign in again.
    phone = phone::signed_in(&site, 0).await;
    assert!(is_signed_in(&phone).await);
}

#[tokio::test]
async fn a_ban_beats_a_phone_login_under_way_if_it_names_the_identity() {
    for names_identity in [true, false] {
        let layer_of_hook = Arc::new(OnceLock::<QqAuthLayer>::new());
        let layer = Arc::clone(&layer_of_hook);
        let hook = async move |login: QqLogin, _| {
            let (layer, user) = (layer.get().unwrap(), login.user());
            match names_identity {
                true => layer.revoke_user(user.identity()).await?,
                false => layer.revoke_user(user.openid()).await?,
            }
            Ok(Verdict::allow())
        };
        let list = InMemoryRevocations::new();
        let configure = |layer: QqAuthLayerBuilder| layer.revocations(list).on_login(hook);
        let (site, layer) = phone::site_with(|app| app, configure);
        layer_of_hook.set(layer).unwrap();
        let token = phone::token(&site, PHONE_APP, 0);
        let mut phone = site.browser().program();
        let reply = phone::log_in_with(&mut phone, &token).await;
        match names_identity {
            true => reply.assert_failed(403, "refused"),
            false => assert_eq!(reply.status, StatusCode::OK, "{reply:?}"),
        }
        assert_eq!(is_signed_in(&phone).await, !names_identity);
    }
}
