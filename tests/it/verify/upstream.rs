//! Faults of QQ while it is asked about a token.

use std::time::Duration;

use http::Response;
use tokio::time::Instant;
use tower_qq_auth::mock::{Endpoint, Fault};

use crate::phone::{Attempt, PHONE_APP, site, site_with, token};

const SECOND: Duration = Duration::from_secs(1);

fn status(status: u16, retry_after: Option<&str>) -> Fault {
    let mut response = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    response.body("<html>a firewall</html>").unwrap().into()
}

/// Verifies a good token while `/me` has this fault.
async fn attempt(calls: usize, fault: Fault) -> Attempt {
    let site = site();
    site.qq.fault(Endpoint::Me, calls, fault);
    Attempt::at(&site, &token(&site, PHONE_APP, 0)).await
}

#[tokio::test]
async fn a_busy_qq_names_the_pause() {
    for code in [429, 503] {
        for (named, expected) in [(Some("7"), "7"), (Some("301"), "5"), (None, "5")] {
            let attempt = attempt(usize::MAX, status(code, named)).await;
            attempt.assert_failed(&format!("{code} {named:?}"), 424, "qq_busy", [1, 0]);
            assert_eq!(attempt.reply.header("retry-after"), expected);
        }
    }
}

#[tokio::test]
async fn a_transient_fault_of_me_is_retried_once() {
    for fault in [status(500, None), status(502, None), Fault::CutBody] {
        let case = format!("{fault:?}");
        attempt(1, fault.clone())
            .await
            .assert_signed_in(&case, [2, 1]);
        let twice = attempt(usize::MAX, fault).await;
        twice.assert_failed(&case, 424, "qq_unavailable", [2, 0]);
    }
}

#[tokio::test]
async fn other_statuses_and_pages_are_not_retried() {
    for code in [200, 201, 204, 206, 301, 302, 304, 401, 403, 404] {
        let attempt = attempt(usize::MAX, status(code, None)).await;
        attempt.assert_failed(&code.to_string(), 424, "qq_unavailable", [1, 0]);
        assert!(!attempt.reply.body.contains("firewall"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_or_slow_me_times_out_after_5_seconds() {
    for fault in [
        Fault::Silence,
        Fault::Drip(SECOND),
        Fault::Latency(SECOND * 51 / 10),
    ] {
        let (case, start) = (format!("{fault:?}"), Instant::now());
        let attempt = attempt(usize::MAX, fault).await;
        attempt.assert_failed(&case, 424, "qq_timeout", [1, 0]);
        assert_eq!(start.elapsed().as_millis(), 5000, "{case}");
    }
    let fault = Fault::Latency(SECOND * 49 / 10);
    attempt(1, fault)
        .await
        .assert_signed_in("4.9 seconds", [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_profile_costs_5_seconds_and_the_nickname() {
    let site = site();
    site.qq
        .fault(Endpoint::UserInfo, usize::MAX, Fault::Silence);
    let start = Instant::now();
    let attempt = Attempt::at(&site, &token(&site, PHONE_APP, 0)).await;
    assert_eq!(
        attempt.assert_signed_in("silent profile", [1, 1])["nickname"],
        ""
    );
    assert_eq!(start.elapsed().as_millis(), 5000);
}

#[tokio::test(start_paused = true)]
async fn a_verification_takes_login_timeout_at_most() {
    // Each call alone would be in time.
    let slow = Fault::Latency(4 * SECOND);
    for (limit, expected) in [(None, 8), (Some(6), 6), (Some(3), 3)] {
        let (site, _) = site_with(
            |app| match limit {
                Some(seconds) => app.login_timeout(seconds * SECOND).require_profile(),
                None => app.require_profile(),
            },
            |layer| layer,
        );
        site.qq.fault(Endpoint::Me, usize::MAX, slow.clone());
        site.qq.fault(Endpoint::UserInfo, usize::MAX, slow.clone());
        let start = Instant::now();
        let attempt = Attempt::at(&site, &token(&site, PHONE_APP, 0)).await;
        assert_eq!(start.elapsed(), expected * SECOND, "{limit:?}");
        match limit {
            None => drop(attempt.assert_signed_in("in time", [1, 1])),
            Some(6) => attempt.assert_failed("late", 424, "qq_timeout", [1, 1]),
            Some(_) => attempt.assert_failed("later", 424, "qq_timeout", [1, 0]),
        }
    }
}

#[tokio::test]
async fn verifications_work_again_when_qq_recovers() {
    let site = site();
    let token = token(&site, PHONE_APP, 0);
    site.qq.fault(Endpoint::Me, 6, status(500, None));
    for _ in 0..3 {
        let attempt = Attempt::at(&site, &token).await;
        attempt.assert_failed("down", 424, "qq_unavailable", [2, 0]);
    }
    Attempt::at(&site, &token)
        .await
        .assert_signed_in("up", [1, 1]);
}
