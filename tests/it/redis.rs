//! The revocation list on a real Redis server, which the tests start.

mod check;
#[cfg(target_os = "linux")]
mod clocks;
mod outages;
pub(crate) mod server;

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::Value;
use tower_qq_auth::{
    OpenId, QqAuthLayer, QqAuthLayerBuilder,
    revocation::{RedisRevocations, RevocationList, Subject},
};

use self::server::{Redis, eventually};
use crate::{
    lists::{
        assert_follows_its_own_clock, assert_never_shortens_an_expiry,
        assert_only_a_live_session_ends_the_others, assert_only_raises_cutoffs,
        assert_parallel_calls_end_the_others_once, assert_parallel_raises_are_atomic, noon,
        subjects,
    },
    process::{Running, browser, choose, page},
    site::{Browser, Site, builder, pages},
};

impl Redis {
    /// Another machine of a site, with its own connection and without a fresh cache.
    fn machine(&self, base: &Site) -> (Site, QqAuthLayer) {
        machine(base, self.list(), never_fresh)
    }

    /// A machine that asks Redis at every request and never counts an old answer.
    fn strict_machine(&self, base: &Site) -> (Site, QqAuthLayer) {
        strict_machine(base, self.list())
    }
}

fn strict_machine(base: &Site, list: RedisRevocations) -> (Site, QqAuthLayer) {
    machine(base, list, |layer| {
        never_fresh(layer).revocation_grace(Duration::ZERO)
    })
}

fn never_fresh(layer: QqAuthLayerBuilder) -> QqAuthLayerBuilder {
    layer.revocation_freshness(Duration::ZERO)
}

/// Another machine of a site: the same QQ, keys and clock, but its own layer.
fn machine(
    base: &Site,
    list: RedisRevocations,
    settings: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> (Site, QqAuthLayer) {
    let clock = base.clock.clone();
    let builder = builder(&base.qq)
        .clock(move || clock.now())
        .revocations(list);
    let layer = settings(builder).build().unwrap();
    let router = pages().layer(layer.clone());
    (
        Site {
            router,
            ..base.clone()
        },
        layer,
    )
}

async fn status(browser: &Browser) -> StatusCode {
    browser.clone().program().get("/me").await.status
}

/// The same browser at another machine.
fn at(browser: &Browser, site: &Site) -> Browser {
    Browser {
        router: site.router.clone(),
        ..browser.clone()
    }
}

fn openid(site: &Site) -> OpenId {
    OpenId::new(site.qq.people()[0].openid.clone()).unwrap()
}

fn hex(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn two_machines_share_logins_sessions_and_logouts() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let ((a, _), (b, layer)) = (redis.machine(&base), redis.machine(&base));

    let mut browser = a.browser();
    let callback = browser
        .callback_from(&base.qq, "/auth/qq/login?return_to=/x")
        .await;
    let mut browser = at(&browser, &b);
    assert_eq!(browser.get(&callback).await.location(), "/x");
    let mut at_a = at(&browser, &a);
    assert_ne!(at_a.whoami().await, Value::Null);
    assert_ne!(browser.whoami().await, Value::Null);

    let stolen = browser.clone();
    at_a.post("/auth/qq/logout").await;
    assert_eq!(
        status(&stolen).await,
        StatusCode::UNAUTHORIZED,
        "revoked at b"
    );
    assert_eq!(
        status(&at(&stolen, &a)).await,
        StatusCode::UNAUTHORIZED,
        "revoked at a"
    );

    let browser = a.signed_in().await;
    assert_eq!(status(&at(&browser, &b)).await, StatusCode::OK);
    base.clock.advance(Duration::from_millis(1));
    layer.revoke_user(&openid(&base)).await.unwrap();
    assert_eq!(status(&browser).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_cluster_works_like_a_single_server() {
    let Some(redis) = Redis::start_node("0 16383").await else {
        return;
    };
    redis.wait_for_cluster().await;
    let base = Site::new();
    let list = || RedisRevocations::new(&redis.cluster_url()).unwrap();
    let (a, _) = machine(&base, list(), never_fresh);
    let (b, _) = machine(&base, list(), never_fresh);
    let browser = a.signed_in().await;
    assert_eq!(status(&at(&browser, &b)).await, StatusCode::OK);
    browser.clone().post("/auth/qq/logout").await;
    assert_eq!(status(&at(&browser, &b)).await, StatusCode::UNAUTHORIZED);

    assert_parallel_raises_are_atomic([list(), list()]).await;
    redis.command("FLUSHALL").await;
    assert_only_raises_cutoffs(&list()).await;
    redis.command("FLUSHALL").await;
    assert_follows_its_own_clock(&list()).await;
    redis.command("FLUSHALL").await;
    assert_only_a_live_session_ends_the_others(&list()).await;
    redis.command("FLUSHALL").await;
    assert_parallel_calls_end_the_others_once([list(), list()]).await;
}

/// Runs the example, which starts two instances on two sockets.
async fn check_cluster(environment: &[(&str, &str)]) {
    let mut running = Running::start("cluster", environment);
    let second = running.printed("second").await;
    let first = running.printed("open").await;
    let browser = browser();
    let mock = page(&browser, &format!("{second}me")).await;
    choose(&browser, mock, 0).await;
    let status_at = async |site: &str| {
        let me = browser
            .get(format!("{site}me"))
            .header("accept", "application/json");
        me.send().await.unwrap().status()
    };
    assert_eq!(
        (status_at(&first).await, status_at(&second).await),
        (StatusCode::OK, StatusCode::OK)
    );

    let reply = browser
        .post(format!("{first}leave-everywhere"))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    eventually("the second instance sees the revocation", async || {
        status_at(&second).await == StatusCode::UNAUTHORIZED
    })
    .await;
    assert_eq!(status_at(&first).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_cluster_example_shares_logins_and_revocations_in_memory() {
    check_cluster(&[("LISTEN", "127.0.0.1:0")]).await;
}

#[tokio::test]
async fn the_cluster_example_shares_logins_and_revocations_on_redis() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    check_cluster(&[("LISTEN", "127.0.0.1:0"), ("REDIS_URL", &redis.url())]).await;
    assert!(!redis.keys().await.is_empty());
}

#[tokio::test]
async fn entries_are_small_anonymous_and_expire() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let (site, layer) = redis.machine(&base);
    site.signed_in().await.post("/auth/qq/logout").await;
    let openid = openid(&base);
    layer.revoke_user(&openid).await.unwrap();

    let keys = redis.keys().await;
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        assert!(!key.contains(openid.as_str()));
        let expires_in = redis.integer(&format!("TTL {key}")).await;
        let month = 30 * 24 * 60 * 60;
        assert!(
            (month - 60..month + 3600).contains(&expires_in),
            "{key} expires in {expires_in} s"
        );
        let bytes = redis.integer(&format!("MEMORY USAGE {key}")).await;
        assert!(bytes < 300, "{key} takes {bytes} bytes");
    }
}

#[tokio::test]
async fn keys_hold_the_ids_as_hex_and_values_the_milliseconds() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let list = redis.list();
    let ([session, ..], user) = subjects().await;
    let cutoff = SystemTime::UNIX_EPOCH + Duration::from_millis(4_000_000_000_123);
    let day = Duration::from_secs(24 * 60 * 60);
    let raise = async |subject: Subject| {
        let stored = list.raise_cutoff(subject, cutoff, day).await;
        stored.unwrap()
    };
    raise(user).await;
    raise(session).await;
    raise(session).await;
    let user_key = format!("qq-auth:{{{}}}", hex(user.user()));
    let session_key = format!("{user_key}:{}", hex(session.session().unwrap()));
    let mut keys = redis.keys().await;
    keys.sort();
    assert_eq!(keys, [user_key.as_str(), session_key.as_str()]);
    for (key, value) in [(user_key, "4000000000123"), (session_key, "4000000000124")] {
        assert_eq!(
            redis.command(&format!("GET {key}")).await,
            format!("$13\r\n{value}\r\n")
        );
        let expires_in = redis.integer(&format!("PTTL {key}")).await;
        let day = 24 * 60 * 60 * 1000;
        assert!(
            (day - 60_000..=day).contains(&expires_in),
            "{key} expires in {expires_in} ms"
        );
    }
}

#[tokio::test]
async fn a_raise_replaces_invalid_entries_and_keeps_huge_ones() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let list = redis.list();
    let (_, user) = subjects().await;
    let key = format!("qq-auth:{{{}}}", hex(user.user()));
    let cutoff = SystemTime::UNIX_EPOCH + Duration::from_millis(4_000_000_000_123);
    let hour = Duration::from_secs(60 * 60);
    let raise = async || list.raise_cutoff(user, cutoff, hour).await.unwrap();
    for command in [
        "SET {key} garbage",
        "SET {key} inf",
        "SET {key} 1e400",
        "SET {key} -5",
        "SET {key} 99999999999999999999999",
        "LPUSH {key} 4000000000999",
    ] {
        redis.command(&format!("DEL {key}")).await;
        redis.command(&command.replace("{key}", &key)).await;
        assert_eq!(raise().await, cutoff, "{command}");
        assert_eq!(list.latest_cutoff(user).await.unwrap(), Some(cutoff));
        assert!(redis.integer(&format!("PTTL {key}")).await > 0, "{command}");
    }
    // Revoked for ever, as an operator may write it.
    let forever = SystemTime::UNIX_EPOCH + Duration::from_millis(1 << 60);
    let command = format!("SET {key} {}", 1_u64 << 60);
    redis.command(&command).await;
    assert_eq!(raise().await, forever);
    // An entry without a time to live keeps none.
    redis.command(&format!("SET {key} 4000000000999")).await;
    assert_eq!(raise().await, cutoff + Duration::from_millis(877));
    assert_eq!(redis.command(&format!("PTTL {key}")).await, ":-1\r\n");
}

#[tokio::test]
async fn the_list_on_redis_only_raises_cutoffs() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    const { assert!(!RedisRevocations::IS_LOCAL) };
    assert_only_raises_cutoffs(&redis.list()).await;
}

#[tokio::test]
async fn the_list_on_redis_follows_the_clock_of_redis() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    assert_follows_its_own_clock(&redis.list()).await;
}

#[tokio::test]
async fn only_a_live_session_ends_the_others_on_redis() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    assert_only_a_live_session_ends_the_others(&redis.list()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_calls_of_two_machines_end_the_others_once_on_redis() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    assert_parallel_calls_end_the_others_once([redis.list(), redis.list()]).await;
}

#[tokio::test]
async fn a_session_with_an_unreadable_entry_ends_no_others() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let list = redis.list();
    let ([session, ..], user) = subjects().await;
    let user_key = format!("qq-auth:{{{}}}", hex(user.user()));
    let session_key = format!("{user_key}:{}", hex(session.session().unwrap()));
    let day = Duration::from_secs(24 * 60 * 60);
    let raise = async || {
        let stored = list.raise_user_cutoff(session, noon(), noon(), day).await;
        stored.map_err(|error| error.to_string())
    };
    for (key, other) in [(&user_key, &session_key), (&session_key, &user_key)] {
        for garbage in [
            format!("SET {key} rubbish"),
            format!("SET {key} -1"),
            format!("SET {key} 99999999999999999999999"),
            format!("SADD {key} x"),
        ] {
            redis.command("FLUSHALL").await;
            redis.command(&garbage).await;
            let error = raise().await.unwrap_err();
            assert_eq!(error, "an entry is not a timestamp", "{garbage}");
            assert_eq!(redis.keys().await, [key.as_str()], "{garbage}");
            redis.command(&format!("SET {other} 1")).await;
            assert!(raise().await.is_err(), "{garbage}");
        }
        redis.command("FLUSHALL").await;
        redis.command(&format!("SET {key} {}", 1_u64 << 60)).await;
        assert_eq!(raise().await, Ok(None), "revoked for ever");
    }
    redis.command("FLUSHALL").await;
    assert_eq!(raise().await, Ok(Some(noon())));
}

#[tokio::test]
async fn the_list_on_redis_never_shortens_an_expiry() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    assert_never_shortens_an_expiry(&redis.list()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_raises_of_two_machines_on_redis_are_atomic() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    assert_parallel_raises_are_atomic([redis.list(), redis.list()]).await;
}

#[tokio::test]
async fn an_invalid_entry_never_counts_as_not_revoked() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let (site, layer) = redis.strict_machine(&base);
    layer.revoke_user(&openid(&base)).await.unwrap();
    let browser = site.signed_in().await;
    assert_eq!(
        status(&browser).await,
        StatusCode::OK,
        "the session is newer than the cutoff"
    );
    let keys = redis.keys().await;
    let key = &keys[0];

    for garbage in [
        "rubbish",
        "-1",
        "1.5",
        "99999999999999999999999",
        "18446744073709551615",
    ] {
        redis.command(&format!("SET {key} {garbage}")).await;
        assert_ne!(status(&browser).await, StatusCode::OK, "{garbage}");
    }
    // The largest number was a cutoff, and what is revoked stays so until the list says otherwise.
    redis.command(&format!("DEL {key}")).await;
    assert_eq!(status(&browser).await, StatusCode::OK);
    redis.command(&format!("RPUSH {key} x")).await;
    eventually("the pause after a failure is over", async || {
        status(&browser).await == StatusCode::FAILED_DEPENDENCY
    })
    .await;
    redis.command(&format!("DEL {key}")).await;
    eventually("the session works again", async || {
        status(&browser).await == StatusCode::OK
    })
    .await;
}

#[test]
fn a_bad_url_is_an_error_that_does_not_show_the_password() {
    for url in [
        "",
        "canary",
        "http://canary@x",
        "redis+cluster://",
        "redis://h:canary",
        "redis://h:6379/canary",
    ] {
        let error = RedisRevocations::new(url).unwrap_err().to_string();
        assert!(error.contains("REDIS_URL"), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    for url in [
        "redis://127.0.0.1",
        "redis://user:password@redis.example:6380/3",
        "rediss://redis.example",
        "redis+cluster://10.0.0.1:6379",
        "rediss+cluster://10.0.0.1:6379,rediss+cluster://10.0.0.2:6379",
    ] {
        let list = RedisRevocations::new(url).unwrap();
        assert!(!format!("{list:?}").contains("password"));
    }
}

#[tokio::test]
async fn an_unreadable_entry_affects_only_its_user() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let (site, _) = redis.strict_machine(&base);
    let person = base.qq.people()[1].openid.clone();
    let sign_in_other = async || {
        let mut other = site.browser();
        let start = other.get("/auth/qq/login").await;
        let callback = base.qq.approve_as(start.location(), &person).unwrap();
        other.get(&crate::site::path(&callback)).await;
        other
    };
    let browser = site.signed_in().await;
    // The key of a user is the key of one of their sessions without the last part.
    site.signed_in().await.post("/auth/qq/logout").await;
    let keys = redis.keys().await;
    let (user, _) = keys[0].rsplit_once(':').unwrap();
    for garbage in [
        format!("SET {user} rubbish"),
        format!(r#"SET {user} "\xff\xfe""#),
        format!("SADD {user} x"),
        format!("HSET {user} x y"),
    ] {
        redis.command(&format!("DEL {user}")).await;
        redis.command(&garbage).await;
        assert_eq!(
            status(&browser).await,
            StatusCode::FAILED_DEPENDENCY,
            "{garbage}"
        );
        // A new session, so that the answer does not come from the cache.
        assert_eq!(
            status(&sign_in_other().await).await,
            StatusCode::OK,
            "{garbage}"
        );
    }
}
