//! Tokens belong to one QQ app, as their user does.

use tower_qq_auth::{Identity, LoginErrorKind};

use super::*;
use crate::{
    log::Log,
    phone::{self, PHONE_APP, STRANGER},
    site::APP_ID,
};

/// Tokens as an app has stored them.
fn stored(app_id: &str) -> QqTokens {
    QqTokens::new("STORED", Some("REFRESH".into()), None).with_app_id(app_id)
}

#[tokio::test]
async fn every_call_with_tokens_names_their_app() {
    let (site, layer) = phone::site_with(|app| app, |layer| layer);
    let client = layer.client();
    let login = client
        .verify(&phone::token(&site, PHONE_APP, 0))
        .await
        .unwrap();
    let (tokens, openid) = (login.tokens(), login.user().openid());
    assert_eq!(tokens.app_id(), PHONE_APP);
    assert_eq!((tokens.refresh_token(), tokens.expires_in()), (None, None));
    let named = || {
        site.qq
            .journal()
            .pop()
            .unwrap()
            .param("oauth_consumer_key")
            .map(String::from)
    };

    let user = client.user_info(tokens, openid).await.unwrap();
    assert_eq!(named().as_deref(), Some(PHONE_APP));
    assert_eq!(
        (user.identity(), user.nickname()),
        (login.user().identity(), "小明")
    );
    let path = "/user/get_user_info";
    client.open_api(path, tokens, openid, &[]).await.unwrap();
    assert_eq!(named().as_deref(), Some(PHONE_APP));

    let restored = QqTokens::new(tokens.access_token(), None, None);
    let error = client.user_info(&restored, openid).await.unwrap_err();
    assert_eq!(
        named().as_deref(),
        Some(APP_ID),
        "of the client, if nothing else is said"
    );
    assert_eq!(error.qq_code(), Some(-22));
    let restored = restored.with_app_id(PHONE_APP);
    assert_eq!(client.user_info(&restored, openid).await.unwrap(), user);

    let web = site.bare_login(0).await;
    assert_eq!(web.tokens().app_id(), APP_ID);
    let user = client
        .user_info(web.tokens(), web.user().openid())
        .await
        .unwrap();
    assert_eq!((named().as_deref(), user.app_id()), (Some(APP_ID), APP_ID));
}

#[tokio::test]
async fn tokens_of_another_app_are_not_refreshed() {
    let (site, layer) = phone::site_with(|app| app, |layer| layer);
    let error = layer
        .client()
        .refresh(&stored(PHONE_APP))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::CodeRejected);
    assert!(error.to_string().contains("another app"), "{error}");
    assert!(site.qq.journal().is_empty(), "nothing is sent");
    let web = site.bare_login(0).await;
    let fresh = layer.client().refresh(web.tokens()).await.unwrap();
    assert_eq!(fresh.app_id(), APP_ID);
}

/// A site that shows the app of the kept tokens, and takes tokens of any app.
fn site() -> (Site, tower_qq_auth::QqAuthLayer) {
    let show = get(async |tokens: QqTokens| Json(json!([tokens.app_id(), tokens.access_token()])));
    let take = get(
        async |axum::extract::Path(app_id): axum::extract::Path<String>| (stored(&app_id), "taken"),
    );
    let pages = Router::new()
        .route("/tokens", show)
        .route("/take/{app_id}", take);
    phone::site_with_pages(|app| app, |layer| layer.keep_tokens(), pages)
}

#[tokio::test]
async fn kept_tokens_of_a_phone_have_its_app() {
    let (site, layer) = site();
    let token = phone::token(&site, PHONE_APP, 0);
    let mut phone = site.browser().program();
    phone::log_in_with(&mut phone, &token).await;
    assert_eq!(
        json_at(&mut phone, "/tokens").await,
        json!([PHONE_APP, token])
    );
    let login = layer.client().verify(&token).await.unwrap();
    let session = layer.begin(login).await.unwrap();
    assert_eq!(session.tokens().unwrap().app_id(), PHONE_APP);

    let mut web = site.signed_in().await;
    assert_eq!(json_at(&mut web, "/tokens").await[0], APP_ID);
}

#[tokio::test]
async fn tokens_in_a_response_replace_only_those_of_the_same_app() {
    let (site, _) = site();
    let (web, phone) = (site.signed_in().await, phone::signed_in(&site, 0).await);
    for (before, own, other) in [(web, APP_ID, PHONE_APP), (phone, PHONE_APP, APP_ID)] {
        for app_id in [other, STRANGER] {
            let (log, mut browser) = (Log::start(), before.clone());
            let reply = browser.get(&format!("/take/{app_id}")).await;
            assert_eq!((&*reply.body, reply.cookies().len()), ("taken", 0));
            assert!(log.text().contains("another QQ app"), "{}", log.text());
        }
        let mut browser = before.clone();
        browser.get(&format!("/take/{own}")).await;
        assert_eq!(
            json_at(&mut browser, "/tokens").await,
            json!([own, "STORED"])
        );
    }
}

#[tokio::test]
async fn a_session_takes_neither_tokens_nor_a_user_of_another_app() {
    let (site, layer) = site();
    let token = phone::token(&site, PHONE_APP, 0);
    let phone = layer.client().verify(&token).await.unwrap();
    let web = site.bare_login(0).await;
    for (login, own, other) in [(phone, PHONE_APP, APP_ID), (web, APP_ID, PHONE_APP)] {
        let openid = login.user().openid().clone();
        let session = layer.begin(login).await.unwrap();
        for app_id in [other, STRANGER] {
            let error = session.clone().with_tokens(stored(app_id)).unwrap_err();
            assert!(error.to_string().contains("another QQ app"), "{error}");
            // The text of the openid is the same, but not the user.
            let user = QqUser::new(Identity::new(app_id, &openid).unwrap());
            assert!(session.clone().with_user(user).is_err(), "{own}: {app_id}");
        }
        let tokens = session.clone().with_tokens(stored(own)).unwrap().tokens();
        assert_eq!(tokens.unwrap(), stored(own));
        let user = QqUser::new(Identity::new(own, &openid).unwrap()).with_nickname("new");
        let session = session.clone().with_user(user).unwrap();
        assert_eq!(
            (session.user().nickname(), session.user().app_id()),
            ("new", own)
        );
        let alone = session.with_user(QqUser::new(openid));
        assert_eq!(
            alone.is_ok(),
            own == APP_ID,
            "an openid alone is of the layer's app"
        );
    }
}

#[test]
fn session_cookie_takes_no_tokens_of_another_app() {
    let layer = site::builder(&site::qq()).keep_tokens().build().unwrap();
    let openid = OpenId::new("OPENID").unwrap();
    let phone = QqUser::new(Identity::new(PHONE_APP, &openid).unwrap());
    for (user, own, other) in [
        (QqUser::new(openid), APP_ID, PHONE_APP),
        (phone, PHONE_APP, APP_ID),
    ] {
        assert!(layer.session_cookie(&user, Some(&stored(own))).is_ok());
        let error = layer
            .session_cookie(&user, Some(&stored(other)))
            .unwrap_err();
        assert!(error.to_string().contains("another QQ app"), "{error}");
    }
}
