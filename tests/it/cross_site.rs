//! Login CSRF: rule 7 of the module `session`.
//!
//! A request that another site may have caused changes no user.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_qq_auth::{QqAuthLayer, QqAuthLayerBuilder, QqLogin, QqSession, QqTokens, SignOut};

use crate::{
    initiators::{CHANGE, ORIGINS, REQUESTS, sending},
    log::Log,
    shown::{self, session},
    site::{SESSION, Site},
};

fn pages(layer: &QqAuthLayer, login: QqLogin) -> Router {
    let layer = layer.clone();
    let begin = async move || -> Response {
        let session = layer.begin(login).await.unwrap();
        (session, "done").into_response()
    };
    let account = async |session: QqSession| (session.with_account("42").unwrap(), "done");
    let user = async |session: QqSession| {
        let user = session.user().clone().with_nickname("fresh");
        (session.with_user(user).unwrap(), "done")
    };
    let both = async |session: QqSession| {
        let session = session.with_account("42").unwrap();
        let tokens = QqTokens::new("NEW", None, None);
        (session.with_tokens(tokens).unwrap(), "done")
    };
    let tokens = async |session: QqSession| {
        let tokens = QqTokens::new("NEW", None, None);
        (session.with_tokens(tokens).unwrap(), "done")
    };
    shown::page()
        .route("/begin", get(begin.clone()).post(begin))
        .route("/account", get(account).post(account))
        .route("/user", get(user).post(user))
        .route("/both", post(both))
        .route("/tokens", post(tokens))
        .route("/leave", post(async || (SignOut, "done")))
}

async fn site() -> Site {
    let base = Site::new();
    let login = base.bare_login(1).await;
    let configure = |layer: QqAuthLayerBuilder| layer.keep_tokens().trusted_origins(ORIGINS);
    Site::with_layer(|layer| pages(layer, login), configure).0
}

#[tokio::test]
async fn rule_7_only_a_request_of_the_site_changes_the_user() {
    let site = site().await;
    let signed_in = site.signed_in().await;
    let log = Log::start();
    // Strangers can cause the line, so it is limited.
    let errors = || {
        let text = log.text();
        let error = "the app's QqSession is not set: another site may have caused the request";
        text.lines().filter(|line| line.contains(error)).count()
    };
    for (from, origins, may) in REQUESTS {
        let may_change = may.contains(&CHANGE);
        let cases = [
            ("/begin", site.browser()),
            ("/begin", signed_in.clone()),
            ("/account", signed_in.clone()),
            ("/user", signed_in.clone()),
            ("/both", signed_in.clone()),
        ];
        for (page, before) in cases {
            let case = format!("{page} from {from:?}, {origins:?}");
            let errors_before = errors();
            let mut browser = sending(&before, from, origins);
            let reply = browser.post(page).await;
            assert_eq!(reply.body, "done", "{case}");
            assert_eq!(reply.cookies().len(), usize::from(may_change), "{case}");
            assert_eq!(browser.jar != before.jar, may_change, "{case}");
            assert!(!may_change || errors() == errors_before, "{case}");
        }
    }
    assert!(errors() > 0);
}

#[tokio::test]
async fn rule_7_holds_for_a_link_as_well() {
    let site = site().await;
    let browser = site.signed_in().await;
    for page in ["/begin", "/account", "/user"] {
        let mut clicking = sending(&browser, &["cross-site"], &[]);
        assert!(clicking.get(page).await.cookies().is_empty(), "{page}");
        let mut clicking = sending(&browser, &["same-origin"], &[]);
        assert_eq!(clicking.get(page).await.cookies().len(), 1, "{page}");
    }
}

#[tokio::test]
async fn rule_7_leaves_tokens_and_sign_out_alone() {
    let site = site().await;
    let signed_in = site.signed_in().await;
    for (from, origins, _) in REQUESTS {
        let case = format!("{from:?}, {origins:?}");
        let mut browser = sending(&signed_in, from, origins);
        browser.post("/tokens").await;
        let found = session(&mut browser).await;
        assert_eq!(found["access_token"], "NEW", "{case}");
        browser.post("/leave").await;
        assert_eq!(browser.jar.get(SESSION), None, "{case}");
    }
}

#[cfg(feature = "revocation")]
#[tokio::test]
async fn rule_7_a_session_that_is_not_set_ends_no_other() {
    let login = Site::new().bare_login(1).await;
    let list = tower_qq_auth::revocation::InMemoryRevocations::new();
    let (site, _) = Site::with_layer(
        |layer| pages(layer, login),
        |layer| layer.keep_tokens().revocations(list),
    );
    let mut browser = sending(&site.signed_in().await, &["cross-site"], &[]);
    let before = browser.whoami().await;
    browser.post("/begin").await;
    assert_eq!(browser.whoami().await, before);
}

#[tokio::test]
async fn rule_7_a_callback_is_exempt() {
    let handler = async |login: QqLogin, session: QqSession| {
        let user = login.user().clone().with_nickname("fresh");
        let session = session.with_user(user).unwrap();
        (session.with_account("42").unwrap(), "welcome")
    };
    for (from, origins, _) in REQUESTS {
        let pages = shown::page().route("/auth/qq/callback", get(handler));
        let site = Site::with_pages(|_| pages, |layer| layer.forward_callback());
        let mut browser = site.browser();
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        let mut browser = sending(&browser, from, origins);
        assert_eq!(browser.get(&callback).await.body, "welcome");
        let found = session(&mut browser).await;
        assert_eq!(found["account"], "42", "{from:?} {origins:?}");
        assert_eq!(found["user"]["nickname"], "fresh");
    }
}
