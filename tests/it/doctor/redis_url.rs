//! The doctor's call to the server of `REDIS_URL`.

use super::{assert_finding, doctor};
use crate::redis::Redis;

async fn report(url: &str) -> String {
    doctor(&[("REDIS_URL", url)], &[]).await
}

#[tokio::test]
async fn writes_and_reads_an_entry() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let report = report(&redis.url()).await;
    assert_finding(&report, "", "an entry was written and read in", "");
    assert!(!report.contains("error    redis"), "{report}");
}

#[tokio::test]
async fn finds_a_server_that_cannot_be_used() {
    // Not one that only reads: a revocation has to be stored.
    let Some(redis) = Redis::start_with(&["--min-replicas-to-write", "1"]).await else {
        return;
    };
    let wrong_password = redis.url().replace("//", "//:canary@");
    let read_only = redis.url();
    for url in [&wrong_password, &read_only, "redis://:canary@127.0.0.1:1"] {
        let report = report(url).await;
        assert_finding(&report, "error    redis", "REDIS_URL fails", "GET and EVAL");
    }
    let report = report("canary://127.0.0.1").await;
    assert_finding(&report, "error    redis", "(REDIS_URL) must be a URL", "");
}
