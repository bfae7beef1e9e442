//! Many verifications at once: their places, and the lines that they log.

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower_qq_auth::mock::{Endpoint, Fault};

use crate::{
    load::now,
    log::Log,
    phone::{self, PHONE_APP, log_in_with, site, site_with, token},
    site::Site,
};

const PLACES: usize = 64;

/// Starts a verification, which the first poll brings to QQ.
fn start(site: &Site) -> std::pin::Pin<Box<dyn Future<Output = crate::site::Reply>>> {
    let (mut phone, token) = (site.browser().program(), token(site, PHONE_APP, 0));
    Box::pin(async move { log_in_with(&mut phone, &token).await })
}

#[tokio::test(start_paused = true)]
async fn while_qq_hangs_64_verifications_wait_and_further_ones_are_overloaded_at_once() {
    let site = site();
    site.qq.fault(Endpoint::Me, usize::MAX, Fault::Silence);
    let mut waiting = Vec::new();
    for _ in 0..PLACES {
        let mut verification = start(&site);
        assert!(now(verification.as_mut()).is_none());
        waiting.push(verification);
    }
    assert_eq!(site.qq.calls(Endpoint::Me), PLACES);
    for _ in 0..3 {
        let reply = now(start(&site).as_mut()).expect("an answer at once");
        reply.assert_failed(424, "overloaded");
        assert_eq!(reply.header("retry-after"), "2");
    }

    // Callbacks have places of their own.
    let begun = Instant::now();
    let mut browser = site.signed_in().await;
    assert_ne!(browser.whoami().await, serde_json::Value::Null);
    assert!(begun.elapsed().is_zero());

    // A client that leaves makes room for one.
    drop(waiting.pop());
    let mut next = start(&site);
    assert!(now(next.as_mut()).is_none());
    let reply = now(start(&site).as_mut()).expect("an answer at once");
    reply.assert_failed(424, "overloaded");
    waiting.push(next);

    for verification in waiting {
        verification.await.assert_failed(424, "qq_timeout");
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    site.qq.clear_faults();
    for _ in 0..2 * PLACES {
        phone::signed_in(&site, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn callbacks_that_hang_take_no_place_of_a_verification() {
    let (site, _) = site_with(|app| app, |layer| layer.max_logins_in_flight(1));
    site.qq.fault(Endpoint::Token, 1, Fault::Silence);
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let mut login = Box::pin(browser.get(&callback));
    assert!(now(login.as_mut()).is_none());
    phone::signed_in(&site, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_garbage_tokens_change_nothing_for_web_logins() {
    let site = site();
    let mut before = site.signed_in().await;
    site.qq.fault(
        Endpoint::Me,
        usize::MAX,
        Fault::Latency(Duration::from_millis(100)),
    );
    let flood: JoinSet<u16> = (0..1000)
        .map(|number| {
            let mut phone = site.browser().program();
            async move {
                let reply = log_in_with(&mut phone, &format!("GARBAGE{number}")).await;
                assert!(phone.jar.is_empty());
                reply.status.as_u16()
            }
        })
        .collect();
    sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    for _ in 0..20 {
        let mut browser = site.signed_in().await;
        assert_ne!(browser.whoami().await, serde_json::Value::Null);
    }
    assert_ne!(before.whoami().await, serde_json::Value::Null);
    assert!(start.elapsed().is_zero(), "no page and no login waits");
    let statuses = flood.join_all().await;
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    assert_eq!((count(400), count(424)), (PLACES, 1000 - PLACES));
    assert_eq!(
        site.qq.calls(Endpoint::Me),
        PLACES,
        "the others never reach QQ"
    );
    site.qq.clear_faults();
    phone::signed_in(&site, 0).await;
}

#[tokio::test]
async fn a_flood_of_garbage_tokens_writes_a_few_lines_and_counts_the_rest() {
    let site = site();
    let log = Log::start();
    let mut phone = site.browser().program();
    let start = std::time::Instant::now();
    let mut sent = 0_usize;
    // The limit is for a second of the real clock, so the test runs across its end.
    while start.elapsed() < Duration::from_millis(1_100) {
        log_in_with(&mut phone, "GARBAGE").await;
        sent += 1;
    }
    let lines = |text: &str| {
        let lines = text
            .lines()
            .filter(|line| line.contains("access token not verified: "));
        lines.map(String::from).collect::<Vec<_>>()
    };
    let logged = lines(&log.text());
    assert!((6..=10).contains(&logged.len()), "{} lines", logged.len());
    let left_out = |line: &String| {
        let count = line.split_once(" left_out=")?.1;
        count.split(' ').next()?.parse::<usize>().ok()
    };
    let left_out: usize = logged.iter().filter_map(left_out).sum();
    assert!(
        left_out > 0 && left_out + logged.len() <= sent,
        "{left_out} of {sent}"
    );
    assert!(
        logged.iter().all(|line| line.contains(" INFO ")),
        "strangers cause no alarm"
    );

    // Another kind is not left out.
    let before = lines(&log.text()).len();
    log_in_with(&mut phone, &token(&site, phone::STRANGER, 0)).await;
    let logged = lines(&log.text());
    assert_eq!(logged.len(), before + 1);
    assert!(
        logged[before].contains("audience_mismatch"),
        "{}",
        logged[before]
    );
}
