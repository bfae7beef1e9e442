//! The doctor's call to the server of `REDIS_URL`.

use super::{assert_finding, doctor};
use crate::redis::server::{Redis, TlsRedis};

async fn report(url: &str) -> String {
    doctor(&[("REDIS_URL", url)], &[]).await
}

#[tokio::test]
async fn writes_and_reads_an_entry() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let report = report(&redis.url()).await;
    assert_finding(&report, "", "entries were written and read in", "");
    assert!(!report.contains("error    redis"), "{report}");
}

#[tokio::test]
async fn finds_a_server_that_cannot_be_used() {
    // Not one that only reads: a revocation has to be stored.
    let Some(redis) = Redis::start_with(&["--min-replicas-to-write", "1"]).await else {
        return;
    };
    let wrong_password = redis.url().replace("//", "//:canary@");
    for (url, finding, advice) in [
        (&*wrong_password, "wrong password", "percent-encode"),
        (&redis.url(), "writes disabled", "server's log"),
        (
            "redis://:canary@127.0.0.1:1",
            "connection refused",
            "start the server",
        ),
    ] {
        let report = report(url).await;
        let finding = format!("(REDIS_URL) cannot be used: {finding}");
        assert_finding(&report, "error    redis", &finding, advice);
    }
    let report = report("canary://127.0.0.1").await;
    assert_finding(
        &report,
        "error    redis",
        "(REDIS_URL) must be a URL",
        "scheme",
    );
}

#[tokio::test]
async fn trusts_the_authorities_of_the_machine() {
    let Some(server) = TlsRedis::start("redis-doctor").await else {
        return;
    };
    let url = server.tls_url();
    let trusting = [("REDIS_URL", &*url), ("SSL_CERT_FILE", server.authority())];
    let trusted = doctor(&trusting, &[]).await;
    assert_finding(&trusted, "", "entries were written and read in", "");
    let report = report(&url).await;
    assert_finding(
        &report,
        "error    redis",
        "untrusted certificate",
        "SSL_CERT_FILE",
    );
}
