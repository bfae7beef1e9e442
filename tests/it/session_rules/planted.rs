//! Rule 5: a request has only the layer's own types.

use std::sync::{Arc, Mutex};

use axum::{Extension, Router, response::IntoResponse, routing::get};
use http::{Extensions, request::Parts};
use serde_json::Value;
use tower_qq_auth::{QqLogin, QqSession, QqTokens, QqUser, SignOut, Verdict};

use super::CALLBACK_PATH;
use crate::site::Site;

/// Lists the layer's types in the extensions.
fn claims(extensions: &Extensions) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut note = |is_there: bool, name| found.extend(is_there.then_some(name));
    note(extensions.get::<QqUser>().is_some(), "user");
    note(extensions.get::<QqSession>().is_some(), "session");
    note(extensions.get::<QqLogin>().is_some(), "login");
    note(extensions.get::<QqTokens>().is_some(), "tokens");
    note(extensions.get::<SignOut>().is_some(), "sign-out");
    found
}

#[tokio::test]
async fn rule_5_what_an_outer_service_claims_is_removed() {
    let heads: Arc<Mutex<Vec<Vec<&'static str>>>> = Arc::default();
    let (seen_by_hook, seen_for_account) = (heads.clone(), heads.clone());
    let (site, layer) = Site::with_layer(
        |_| {
            // Some services hand the extensions of the request on to the response.
            let echo = get(async |request: axum::extract::Request| {
                let found = format!("{:?}", claims(request.extensions()));
                let mut response = found.into_response();
                *response.extensions_mut() = request.extensions().clone();
                response
            });
            Router::new()
                .route("/echo", echo.clone())
                .route(CALLBACK_PATH, echo)
        },
        |layer| {
            layer
                .forward_callback()
                .account_of(move |head| {
                    seen_for_account
                        .lock()
                        .unwrap()
                        .push(claims(&head.extensions));
                    None
                })
                .on_login(async move |_, head: Parts| {
                    seen_by_hook.lock().unwrap().push(claims(&head.extensions));
                    Ok(Verdict::allow())
                })
        },
    );
    let login = site.bare_login(0).await;
    let planted = layer.begin(login.clone()).await.unwrap();
    heads.lock().unwrap().clear();
    let mut browser = site.browser();
    browser.router = browser
        .router
        .layer(Extension(login.user().clone()))
        .layer(Extension(planted))
        .layer(Extension(login.clone()))
        .layer(Extension(login.tokens().clone()))
        .layer(Extension(SignOut));
    let reply = browser.get("/echo").await;
    assert_eq!((&*reply.body, reply.cookies().len()), ("[]", 0));

    let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(reply.body, r#"["user", "session", "login"]"#);
    let expected: [&[&str]; 2] = [&[], &[]];
    assert_eq!(*heads.lock().unwrap(), expected, "account_of and on_login");

    let reply = browser.get("/echo").await;
    assert_eq!(reply.body, r#"["user", "session"]"#);
    assert_ne!(browser.whoami().await, Value::Null, "no planted SignOut");
}
