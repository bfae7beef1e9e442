//! An instance that is killed in the middle of a login, and new session keys.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tower_qq_auth::mock::{Endpoint, Fault};

use super::{behind_each, front::Proxy, site::Deployment};
use crate::{
    process::SESSION_KEY,
    redis::server::eventually,
    site::{Browser, Reply},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NEW_KEY: &str = "0a14983ae332e8d89e40cc103202851adaf970b47f759202d22e1d1198cfa9bc";

#[track_caller]
pub(super) fn assert_offers_a_login(page: &Reply) {
    let button = "href=\"/auth/qq/login";
    assert!(page.body.contains(button), "no way out: {page:?}");
    assert_eq!(page.header("referrer-policy"), "no-referrer", "{page:?}");
}

async fn loses_an_instance(mut deployment: Deployment) {
    let qq = deployment.qq.mock.clone();
    let mut browser = deployment.browser();
    let callback = browser.callback_from(&qq, "/auth/qq/login").await;
    // QQ takes the code, and refuses it from then on.
    qq.fault(Endpoint::Token, 1, Fault::Silence);
    qq.fault(Endpoint::Token, 1, Fault::Code(100_020));
    let before = deployment.qq.calls();
    let mut tab = browser.clone();
    let waiting = tokio::spawn(async move { tab.get(&callback).await });
    eventually("an instance asks QQ", async || {
        qq.calls(Endpoint::Token) == 1
    })
    .await;
    let after = deployment.qq.calls();
    let busy = usize::from(after[1] > before[1]);
    assert_ne!(before[busy], after[busy]);
    deployment.kill(busy).await;

    let page = waiting.await.unwrap();
    assert_offers_a_login(&page);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    let calls = qq.calls(Endpoint::Token);
    if deployment.proxy == Proxy::Haproxy {
        // The browser repeated the callback, and the page is the layer's.
        assert_eq!((page.status, calls), (StatusCode::BAD_REQUEST, 2));
    } else {
        assert_eq!((page.status, calls), (StatusCode::BAD_GATEWAY, 1));
    }
    qq.clear_faults();
    let end = browser.sign_in(&qq, "/auth/qq/login").await;
    assert_eq!(end.location(), "/");

    // Other users notice nothing.
    for _ in 0..8 {
        let home = deployment.browser().get("/").await;
        assert_eq!(home.status, StatusCode::OK, "{home:?}");
        assert_ne!(browser.whoami().await, Value::Null);
    }
    deployment.restart(busy, SESSION_KEY).await;
    deployment.wait_for_both().await;
}

#[tokio::test]
async fn a_user_whose_instance_is_killed_signs_in_on_the_other_with_one_click() {
    behind_each(loses_an_instance).await;
}

/// Restarts one instance after the other with these keys.
async fn restart_with(deployment: &mut Deployment, keys: &str) {
    let qq = deployment.qq.mock.clone();
    for number in [0, 1] {
        // A login that began before the restart ends after it.
        let mut user = deployment.browser();
        let callback = user.callback_from(&qq, "/auth/qq/login").await;
        deployment.restart(number, keys).await;
        deployment.wait_for_both().await;
        assert_eq!(user.get(&callback).await.location(), "/", "{keys}");
    }
}

async fn assert_signed_in(user: &mut Browser) {
    for _ in 0..4 {
        assert_ne!(user.whoami().await, Value::Null);
    }
}

async fn changes_keys(mut deployment: Deployment) {
    let mut user = deployment.signed_in().await;
    // A session is renewed, with the first key, from half of its idle time of seven days.
    let mut half_idle = deployment.with_session(4 * DAY);
    restart_with(&mut deployment, &format!("{SESSION_KEY},{NEW_KEY}")).await;
    assert_signed_in(&mut user).await;
    restart_with(&mut deployment, &format!("{NEW_KEY},{SESSION_KEY}")).await;
    assert_signed_in(&mut user).await;
    assert_signed_in(&mut half_idle).await;
    restart_with(&mut deployment, NEW_KEY).await;
    assert_signed_in(&mut half_idle).await;
    // Too early for sessions that were not renewed: the old key must stay for seven days.
    assert_eq!(user.whoami().await, Value::Null);
}

#[tokio::test]
async fn users_stay_signed_in_while_the_instances_change_their_keys() {
    behind_each(changes_keys).await;
}
