//! Connections that stay open until their session ends.

use tokio::{task::JoinSet, time::advance};

use super::*;
use crate::log::Log;

/// Opens 1,000 connections of one session, over the time between two calls of the list.
async fn open_connections(browser: &Browser) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    for number in 0..1_000 {
        let mut browser = browser.clone();
        connections.spawn(async move {
            sleep(number * 3 * MILLISECOND).await;
            browser.get("/connection").await;
        });
    }
    sleep(10 * SECOND).await;
    connections
}

/// Fails unless all connections end within this time, and none did before.
async fn assert_end_within(time: Duration, mut connections: JoinSet<()>) {
    assert!(connections.try_join_next().is_none(), "none has ended");
    timeout(time, connections.join_all()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn open_connections_of_one_session_share_a_call_per_refresh_time() {
    for (freshness, refresh_time) in [(0, 1), (3, 3), (10, 10)] {
        let list = TestList::new();
        let (site, layer) = machine(&Site::new(), list.clone(), |layer| {
            layer.revocation_freshness(freshness * SECOND)
        });
        let browser = site.signed_in().await;
        let connections = open_connections(&browser).await;
        let before = list.checks().len();
        sleep(30 * SECOND).await;
        let calls = list.checks().len() - before;
        let expected = 30 / refresh_time as usize;
        assert!(
            expected.abs_diff(calls) <= 1,
            "{calls} calls, fresh for {freshness} s"
        );

        layer.revoke_user(&openid(&site, 0)).await.unwrap();
        assert_end_within(refresh_time * SECOND, connections).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_no_connection_and_writes_no_line_for_each() {
    for mode in [Mode::Failing, Mode::Hanging] {
        let list = TestList::new();
        let (site, layer) = site_and_layer(list.clone());
        let browser = site.signed_in().await;
        let connections = open_connections(&browser).await;
        let before = list.checks().len();
        let log = Log::start();
        list.set(mode);
        // Longer than answers count.
        sleep(75 * SECOND).await;
        let calls = list.checks().len() - before;
        assert!(calls <= 76, "{mode:?}: {calls} calls");
        let text = log.text();
        let lines = text.lines().filter(|it| it.contains("ERROR")).count();
        // The last call may be under way.
        assert!(
            (calls - 1..=calls).contains(&lines),
            "{mode:?}: {lines} lines"
        );

        list.set(Mode::Working);
        sleep(10 * SECOND).await;
        layer.revoke_user(&openid(&site, 0)).await.unwrap();
        assert_end_within(3 * SECOND, connections).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_local_list_ends_no_connection_and_is_not_logged() {
    let list = TestList::local();
    let (site, layer) = site_and_layer(list.clone());
    let browser = site.signed_in().await;
    let connections = open_connections(&browser).await;
    let log = Log::start();
    for mode in [Mode::Failing, Mode::Hanging] {
        list.set(mode);
        sleep(10 * SECOND).await;
    }
    assert!(!log.text().contains("ERROR"));
    list.set(Mode::Working);
    sleep(10 * SECOND).await;
    layer.revoke_user(&openid(&site, 0)).await.unwrap();
    assert_end_within(SECOND, connections).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_on_a_logout_that_cannot_be_recorded() {
    let list = TestList::new();
    let (site, _) = site_and_layer(list.clone());
    let mut browser = site.signed_in().await;
    let connections = open_connections(&browser).await;
    list.set(Mode::Failing);
    browser.post("/auth/qq/logout").await;
    assert_end_within(3 * SECOND, connections).await;
}

#[tokio::test(start_paused = true)]
async fn connections_and_requests_of_a_session_share_calls() {
    let list = TestList::new();
    let (site, _) = site_and_layer(list.clone());
    let browser = site.signed_in().await;
    let connections = open_connections(&browser).await;
    let before = list.checks().len();
    for _ in 0..600 {
        assert!(is_signed_in(&browser).await);
        advance(100 * MILLISECOND).await;
    }
    let calls = list.checks().len() - before;
    assert!((19..=21).contains(&calls), "{calls} calls in a minute");
    drop(connections);
}
