//! QQ and Redis down, while other visitors notice nothing.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;
use tower_qq_auth::mock::{Endpoint, Fault};

use super::{behind_each, machines::assert_offers_a_login, site::Deployment};
use crate::{redis::server::eventually, site::Browser};

/// Shorter than anything that waits for an outage: half a second for Redis, five for QQ.
const FAST: Duration = Duration::from_millis(450);

/// Fails unless all pages for a visitor and the public ones for a user are fast and well.
async fn assert_unnoticed(deployment: &Deployment, user: &mut Browser) {
    let mut visitor = deployment.browser();
    for page in ["/", "/whoami", "/style.css"] {
        let mut fastest = Duration::MAX;
        // A busy machine is slow once, an outage each time.
        for _ in 0..10 {
            let start = Instant::now();
            let reply = visitor.get(page).await;
            fastest = fastest.min(start.elapsed());
            assert_eq!(reply.status, StatusCode::OK, "{page}: {reply:?}");
            if fastest < FAST {
                break;
            }
        }
        assert!(fastest < FAST, "{page}: {fastest:?}");
    }
    assert_eq!(user.get("/").await.status, StatusCode::OK);
    assert_ne!(user.whoami().await, Value::Null);
}

async fn survives_an_outage_of_qq(deployment: Deployment) {
    let qq = deployment.qq.mock.clone();
    let mut user = deployment.signed_in().await;
    deployment.qq.go_down();
    for _ in 0..6 {
        let mut browser = deployment.browser();
        let callback = browser.callback_from(&qq, "/auth/qq/login").await;
        let failed = browser.get(&callback).await;
        assert_eq!(failed.status, StatusCode::FAILED_DEPENDENCY, "{failed:?}");
        assert_offers_a_login(&failed);
        assert_unnoticed(&deployment, &mut user).await;
    }
    deployment.assert_both_serve().await;
    deployment.qq.come_back();
    deployment.signed_in().await;

    // QQ accepts connections, but answers nothing.
    qq.fault(Endpoint::Token, 2, Fault::Silence);
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut browser = deployment.browser();
        let callback = browser.callback_from(&qq, "/auth/qq/login").await;
        waiting.push(tokio::spawn(async move { browser.get(&callback).await }));
    }
    while waiting.iter().any(|login| !login.is_finished()) {
        assert_unnoticed(&deployment, &mut user).await;
    }
    for login in waiting {
        let failed = login.await.unwrap();
        assert_eq!(failed.status, StatusCode::FAILED_DEPENDENCY, "{failed:?}");
        assert_offers_a_login(&failed);
    }
    deployment.assert_both_serve().await;
    deployment.signed_in().await;
}

#[tokio::test]
async fn without_qq_logins_fail_with_a_button_and_nothing_else_does() {
    behind_each(survives_an_outage_of_qq).await;
}

#[tokio::test]
async fn without_qq_nothing_else_fails_if_the_proxy_retries_more() {
    behind_each(async |mut deployment: Deployment| {
        deployment.retry_more().await;
        survives_an_outage_of_qq(deployment).await;
    })
    .await;
}

/// Redis hangs, and then it is down.
async fn survives_an_outage_of_redis(mut deployment: Deployment) {
    let mut user = deployment.signed_in().await;
    let known = async |user: &mut Browser| {
        for _ in 0..4 {
            assert_ne!(user.whoami().await, Value::Null);
        }
    };
    known(&mut user).await;
    for signal in ["-STOP", "-KILL"] {
        deployment.redis.signal(signal);
        let mut unknown = deployment.with_session(Duration::ZERO);
        // The answers of the list count for three seconds without a question, and then, as Redis
        // is down, for a minute.
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(4) {
            assert_unnoticed(&deployment, &mut user).await;
            // Nothing is known about this session, as if the minute was over.
            let members = unknown.get("/me").await;
            assert_eq!(members.status, StatusCode::FAILED_DEPENDENCY);
            assert_eq!(unknown.whoami().await, Value::Null);
            deployment.assert_both_serve().await;
        }
        if signal == "-STOP" {
            deployment.redis.signal("-CONT");
        } else {
            deployment.redis.restart().await;
        }
        let page = async || unknown.clone().get("/me").await.status;
        eventually("sessions are checked again", async || {
            page().await == StatusCode::OK && page().await == StatusCode::OK
        })
        .await;
        known(&mut user).await;
    }
}

#[tokio::test]
async fn without_redis_public_pages_are_well_and_no_instance_leaves_the_pool() {
    behind_each(survives_an_outage_of_redis).await;
}

#[tokio::test]
async fn without_redis_no_instance_leaves_the_pool_if_the_proxy_retries_more() {
    behind_each(async |mut deployment: Deployment| {
        deployment.retry_more().await;
        survives_an_outage_of_redis(deployment).await;
    })
    .await;
}
