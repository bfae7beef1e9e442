//! The check at start, the words of its errors, and those of the log.

use tokio::{io::AsyncWriteExt, net::TcpListener};
use tower_qq_auth::revocation::RedisRevocations;

use super::server::{Redis, TlsRedis, eventually};
use super::{machine, never_fresh, openid};
use crate::{log::Log, process::free_address, site::Site};

/// Returns what the check finds, without the parts that all findings have.
async fn finding(url: &str) -> String {
    let list = RedisRevocations::new(url).unwrap();
    let Err(error) = list.check().await else {
        return "ok".into();
    };
    let error = error.to_string();
    assert!(!error.contains("canary"), "{error}");
    let finding = error.strip_prefix("Redis URL (REDIS_URL) cannot be used: ");
    finding.expect(&error).to_owned()
}

async fn assert_finding(url: &str, text: &str, advice: &str) {
    let finding = finding(url).await;
    let (found, advised) = finding.split_once(": ").unwrap_or((&finding, ""));
    assert_eq!(found, text, "{url}");
    assert!(advised.contains(advice), "{url}: {finding}");
}

#[tokio::test]
async fn accepts_a_server_and_leaves_nothing_behind() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    assert_eq!(finding(&redis.url()).await, "ok");
    assert_eq!(finding(&format!("{}/15", redis.url())).await, "ok");
    eventually("the entries have expired", async || {
        redis.command("INFO keyspace").await == "$12\r\n# Keyspace\r\n\r\n"
    })
    .await;
}

#[tokio::test]
async fn names_a_wrong_or_missing_password() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    redis.command("ACL SETUSER app on >c,d ~* +@all").await;
    redis.command("CONFIG SET requirepass p@ss/word").await;
    let with = |user: &str| redis.url().replace("//", &format!("//{user}@"));
    for url in [with(":canary"), with("app:canary"), with("canary:c%2Cd")] {
        assert_finding(&url, "wrong password", "percent-encode special characters").await;
    }
    for url in [redis.url(), format!("{}/1", redis.url())] {
        assert_finding(&url, "password required", "redis://:password@host").await;
    }
    for url in [with(":p%40ss%2Fword"), with("app:c%2Cd")] {
        assert_eq!(finding(&url).await, "ok", "{url}");
    }
    let error = RedisRevocations::new(&with(":p@ss/word")).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("percent-encoded") && !error.contains("word@"));
}

#[tokio::test]
async fn names_the_password_of_a_cluster() {
    let Some(redis) = Redis::start_node("0 16383").await else {
        return;
    };
    redis.wait_for_cluster().await;
    redis.command("CONFIG SET requirepass p@ss/word").await;
    let with = |user: &str| redis.cluster_url().replace("//", &format!("//{user}"));
    assert_finding(&with(":canary@"), "wrong password", "").await;
    assert_finding(&with(""), "password required", "").await;
    assert_eq!(finding(&with(":p%40ss%2Fword@")).await, "ok");
}

#[tokio::test]
async fn names_a_database_that_does_not_exist() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let url = format!("{}/99", redis.url());
    assert_finding(&url, "no such database", "`databases`").await;
}

#[tokio::test]
async fn names_a_server_that_does_not_answer() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    redis.signal("-STOP");
    for url in [redis.url(), redis.cluster_url()] {
        assert_finding(&url, "no answer in time", "firewall").await;
    }
    redis.signal("-CONT");
    let port = redis.port;
    drop(redis);
    for scheme in ["redis", "rediss", "redis+cluster", "rediss+cluster"] {
        let url = format!("{scheme}://:canary@127.0.0.1:{port}");
        assert_finding(&url, "connection refused", "start the server").await;
    }
}

#[tokio::test]
async fn names_a_server_that_is_not_redis() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 canary\r\n\r\n").await;
        }
    });
    let url = format!("redis://{address}");
    assert_finding(&url, "unexpected answer", "this host and port").await;
}

#[tokio::test]
async fn names_a_wrong_scheme_and_an_untrusted_certificate() {
    let Some(server) = TlsRedis::start("redis-check").await else {
        return;
    };
    let plain = server.redis.port;
    assert_finding(&server.tls_url(), "untrusted certificate", "SSL_CERT_FILE").await;
    let url = format!("redis://:canary@localhost:{}", server.port);
    assert_finding(&url, "connection closed", "rediss://").await;
    let url = format!("rediss://:canary@127.0.0.1:{plain}");
    let finding = finding(&url).await;
    assert!(
        finding.starts_with("no TLS at this port: use redis://"),
        "{finding}"
    );
}

#[tokio::test]
async fn tells_a_cluster_from_a_single_server() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let url = redis.cluster_url();
    assert_finding(&url, "not a cluster", "use redis://").await;

    let a = Redis::start_node("0 8191").await.unwrap();
    let b = Redis::start_node("8192 16383").await.unwrap();
    a.command(&format!("CLUSTER MEET 127.0.0.1 {}", b.port))
        .await;
    a.wait_for_cluster().await;
    b.wait_for_cluster().await;
    for node in [&a, &b] {
        assert_finding(&node.url(), "node of a cluster", "use redis+cluster://").await;
        let database = format!("{}/1", node.url());
        assert_finding(&database, "node of a cluster", "without a database").await;
        assert_eq!(finding(&node.cluster_url()).await, "ok");
    }
}

#[tokio::test]
async fn names_missing_permissions() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let url = redis.url().replace("//", "//app:pw@");
    for (rules, is_ok) in [
        ("~qq-auth:* +eval +get +set +pttl +time", true),
        ("~qq-auth:* +get +set +pttl +time", false),
        ("~qq-auth:* +eval +set +pttl +time", false),
        ("~qq-auth:* +eval +get +pttl +time", false),
        ("~qq-auth:* +eval +get +set +pttl", false),
        ("~other:* +eval +get +set +pttl +time", false),
    ] {
        let command = format!("ACL SETUSER app reset on >pw {rules}");
        assert_eq!(redis.command(&command).await, "+OK\r\n");
        if is_ok {
            assert_eq!(finding(&url).await, "ok", "{rules}");
        } else {
            assert_finding(&url, "no permission", "EVAL, GET, SET, PTTL and TIME").await;
        }
    }
}

#[tokio::test]
async fn names_a_server_that_takes_no_writes() {
    let Some(primary) = Redis::start().await else {
        return;
    };
    let port = primary.port.to_string();
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    let replica = replica.unwrap();
    eventually("the replica has its data", async || {
        let role = replica.command("ROLE").await;
        role.contains("connected")
    })
    .await;
    let url = replica.url();
    assert_finding(&url, "read-only replica", "connect to the primary").await;
    primary.command("CONFIG SET min-replicas-to-write 9").await;
    assert_finding(&primary.url(), "writes disabled", "server's log").await;
}

#[tokio::test]
async fn warns_if_redis_may_evict_revocations() {
    let Some(redis) = Redis::start_with(&["--maxmemory-policy", "allkeys-lru"]).await else {
        return;
    };
    let log = Log::start();
    assert_eq!(finding(&redis.url()).await, "ok");
    let [warning] = &log.warnings()[..] else {
        panic!("{}", log.text());
    };
    assert!(
        warning.contains("maxmemory-policy to noeviction"),
        "{warning}"
    );

    let log = Log::start();
    redis.command("ACL SETUSER app on >pw ~* +@all -info").await;
    let without_info = redis.url().replace("//", "//app:pw@");
    assert_eq!(finding(&without_info).await, "ok");
    let [warning] = &log.warnings()[..] else {
        panic!("{}", log.text());
    };
    assert!(warning.contains("allow INFO"), "{warning}");

    let log = Log::start();
    redis
        .command("CONFIG SET maxmemory-policy noeviction")
        .await;
    assert_eq!(finding(&redis.url()).await, "ok");
    assert_eq!(log.warnings(), [""; 0]);
}

#[tokio::test]
async fn warns_if_a_cluster_may_evict_revocations() {
    let Some(redis) = Redis::start_node("0 16383").await else {
        return;
    };
    redis.wait_for_cluster().await;
    let log = Log::start();
    assert_eq!(finding(&redis.cluster_url()).await, "ok");
    assert_eq!(log.warnings(), [""; 0]);
    redis
        .command("CONFIG SET maxmemory-policy volatile-ttl")
        .await;
    assert_eq!(finding(&redis.cluster_url()).await, "ok");
    assert_eq!(log.warnings().len(), 1);
}

#[tokio::test]
async fn the_log_names_what_failed() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    redis.command("CONFIG SET requirepass secret").await;
    let closed = free_address().port();
    let with_password = redis.url().replace("//", "//:canary@");
    for (url, text) in [
        (
            format!("redis://127.0.0.1:{closed}"),
            "redis: connection refused",
        ),
        (
            format!("redis+cluster://127.0.0.1:{closed}"),
            "redis: connection refused",
        ),
        (with_password, "redis: wrong password"),
        (redis.url(), "redis: password required"),
    ] {
        let log = Log::start();
        let base = Site::new();
        let list = RedisRevocations::new(&url).unwrap();
        let (_, layer) = machine(&base, list, never_fresh);
        layer.revoke_user(&openid(&base)).await.unwrap_err();
        let log = log.text();
        assert!(log.contains(text), "{text}: {log}");
    }
}
