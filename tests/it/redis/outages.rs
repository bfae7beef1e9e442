//! A Redis that is slow, down or back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tower_qq_auth::{OpenId, revocation::RedisRevocations};

use super::server::{Redis, eventually};
use super::{at, machine, openid, status, strict_machine};
use crate::site::Site;

#[tokio::test]
async fn the_list_reconnects_after_a_restart_of_redis() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let (site, _) = redis.machine(&base);
    let (strict, _) = redis.strict_machine(&base);
    let browser = site.signed_in().await;
    let checked = at(&browser, &strict);
    assert_eq!(status(&browser).await, StatusCode::OK);
    assert_eq!(status(&checked).await, StatusCode::OK);

    redis.stop();
    assert_eq!(
        status(&browser).await,
        StatusCode::OK,
        "an old answer still counts"
    );
    assert_eq!(status(&checked).await, StatusCode::FAILED_DEPENDENCY);
    assert_eq!(
        checked.clone().whoami().await,
        Value::Null,
        "public pages are served anyway"
    );
    assert_eq!(
        status(&strict.browser()).await,
        StatusCode::UNAUTHORIZED,
        "signed-out visitors need no look-up"
    );

    redis.restart().await;
    eventually("the session is checked again", async || {
        status(&checked).await == StatusCode::OK
    })
    .await;
    assert_eq!(status(&browser).await, StatusCode::OK);
}

#[tokio::test]
async fn a_hanging_redis_costs_half_a_second_once_and_can_recover() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let (site, _) = redis.strict_machine(&base);
    let browser = site.signed_in().await;
    assert_eq!(status(&browser).await, StatusCode::OK);

    redis.signal("-STOP");
    let start = Instant::now();
    assert_eq!(status(&browser).await, StatusCode::FAILED_DEPENDENCY);
    for _ in 0..20 {
        assert_eq!(status(&browser).await, StatusCode::FAILED_DEPENDENCY);
    }
    let waited = start.elapsed();
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    redis.signal("-CONT");
    eventually("the session is checked again", async || {
        status(&browser).await == StatusCode::OK
    })
    .await;
}

/// Hangs, stops and restarts a Redis, before and after which a machine revokes a user.
async fn assert_recovers(mut redis: Redis, list: RedisRevocations) {
    let base = Site::new();
    let (site, layer) = strict_machine(&base, list);
    let revoked = site.signed_in().await;
    layer.revoke_user(&openid(&base)).await.unwrap();
    assert_eq!(status(&revoked).await, StatusCode::UNAUTHORIZED);
    base.clock.advance(Duration::from_millis(1));
    let browser = site.signed_in().await;
    assert_eq!(status(&browser).await, StatusCode::OK);

    let is_back = async || {
        eventually("the list is back", async || {
            status(&browser).await == StatusCode::OK
        })
        .await;
    };
    redis.signal("-STOP");
    let start = Instant::now();
    assert_eq!(status(&browser).await, StatusCode::FAILED_DEPENDENCY);
    let waited = start.elapsed();
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    layer.revoke_user(&openid(&base)).await.unwrap_err();
    redis.signal("-CONT");
    // The revocation that seemed to fail may have arrived.
    redis.command("FLUSHALL").await;
    is_back().await;

    redis.stop();
    assert_eq!(status(&browser).await, StatusCode::FAILED_DEPENDENCY);
    redis.restart().await;
    is_back().await;
    layer.revoke_user(&openid(&base)).await.unwrap();
    assert_eq!(status(&browser).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_server_recovers_after_it_hangs_and_stops() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let list = redis.list();
    assert_recovers(redis, list).await;
}

#[tokio::test]
async fn a_cluster_recovers_after_it_hangs_and_stops() {
    let Some(redis) = Redis::start_node("0 16383").await else {
        return;
    };
    redis.wait_for_cluster().await;
    let list = RedisRevocations::new(&redis.cluster_url()).unwrap();
    assert_recovers(redis, list).await;
}

/// Starts a proxy that delays every answer of a server by the milliseconds, and returns its port.
async fn delaying_proxy(server: u16, delay: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let delay = Arc::clone(&delay);
            tokio::spawn(async move {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                });
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                    sleep(Duration::from_millis(delay.load(Relaxed))).await;
                    if to_client.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_slow_server_works_until_its_answers_are_too_late() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let delay = Arc::new(AtomicU64::new(100));
    let port = delaying_proxy(redis.port, Arc::clone(&delay)).await;
    let list = RedisRevocations::new(&format!("redis://127.0.0.1:{port}")).unwrap();
    list.check().await.unwrap();
    let base = Site::new();
    let (site, layer) = strict_machine(&base, list.clone());
    let browser = site.signed_in().await;
    assert_eq!(status(&browser).await, StatusCode::OK);

    delay.store(2_000, Relaxed);
    let error = list.check().await.unwrap_err().to_string();
    assert!(error.contains("no answer in time"), "{error}");
    assert_eq!(status(&browser).await, StatusCode::FAILED_DEPENDENCY);
    delay.store(0, Relaxed);
    eventually("the list is back", async || {
        status(&browser).await == StatusCode::OK
    })
    .await;
    layer.revoke_user(&openid(&base)).await.unwrap();
    assert_eq!(status(&browser).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_site_can_start_before_redis_does() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    redis.stop();
    let base = Site::new();
    let (site, layer) = redis.machine(&base);
    let mut browser = site.browser().program();
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    end.assert_failed(424, "session_unverified");
    let openid = OpenId::new("A").unwrap();
    assert!(layer.revoke_user(&openid).await.is_err());
    redis.restart().await;
    eventually("the list connects", async || {
        layer.revoke_user(&openid).await.is_ok()
    })
    .await;
    assert_eq!(status(&site.signed_in().await).await, StatusCode::OK);
}

#[tokio::test]
async fn a_dropped_idle_connection_costs_neither_a_look_up_nor_a_logout() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    // The cache stays on, so that the logout is the first command on the broken connection.
    let (site, _) = machine(&base, redis.list(), |layer| {
        layer.revocation_grace(Duration::ZERO)
    });
    let mut browser = site.signed_in().await;
    assert_eq!(status(&browser).await, StatusCode::OK);
    let stolen = browser.clone();
    redis.command("CLIENT KILL TYPE normal").await;
    browser.post("/auth/qq/logout").await;
    assert!(!redis.keys().await.is_empty());
    assert_eq!(status(&stolen).await, StatusCode::UNAUTHORIZED);

    let browser = site.signed_in().await;
    redis.command("CLIENT KILL TYPE normal").await;
    assert_eq!(status(&browser).await, StatusCode::OK);
}
