//! The revocation list on a real Redis server, which the tests start.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use http::StatusCode;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{MissedTickBehavior, interval, timeout},
};
use tower_qq_auth::{
    OpenId, QqAuthLayer, QqAuthLayerBuilder,
    revocation::{RedisRevocations, RevocationList, Subject},
};

use crate::{
    process::{Running, browser, choose, page},
    revocation::{
        assert_never_shortens_an_expiry, assert_only_raises_cutoffs,
        assert_parallel_raises_are_atomic, subjects,
    },
    site::{Browser, Site, builder, pages},
};

/// A Redis server on a free port that keeps nothing on disk.
pub(crate) struct Redis {
    process: Child,
    program: PathBuf,
    port: u16,
    settings: &'static [&'static str],
}

impl Redis {
    /// Returns `None` and says so if Redis is not installed. In CI that is a failure.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &'static [&'static str]) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path)
            .map(|folder| folder.join("redis-server"))
            .find(|program| program.exists());
        let Some(program) = program else {
            assert!(
                std::env::var_os("CI").is_none(),
                "redis-server is not installed"
            );
            eprintln!("SKIPPED: redis-server is not installed (apt-get install redis-server)");
            return None;
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let process = Self::spawn(&program, port, settings);
        let redis = Self {
            process,
            program,
            port,
            settings,
        };
        redis.wait_until_ready().await;
        Some(redis)
    }

    fn spawn(program: &Path, port: u16, settings: &[&str]) -> Child {
        Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(std::env::temp_dir())
            .args(["--cluster-config-file", &nodes_file(port)])
            .args(settings)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn wait_until_ready(&self) {
        eventually("redis is ready", async || {
            self.try_command("PING")
                .await
                .is_some_and(|reply| reply.starts_with("+PONG"))
        })
        .await;
    }

    /// Returns the whole reply to a command.
    async fn command(&self, command: &str) -> String {
        self.try_command(command).await.expect("redis replies")
    }

    async fn try_command(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .await
            .ok()?;
        let mut reply = vec![0; 64 * 1024];
        let length = stream.read(&mut reply).await.ok()?;
        Some(String::from_utf8_lossy(&reply[..length]).into_owned())
    }

    /// Returns the integer that a command replies with.
    async fn integer(&self, command: &str) -> u64 {
        let reply = self.command(command).await;
        let integer = reply.trim_end().strip_prefix(':');
        integer.and_then(|it| it.parse().ok()).expect(&reply)
    }

    /// Returns the keys of the revocation list.
    async fn keys(&self) -> Vec<String> {
        let reply = self.command("KEYS *").await;
        let keys = reply.lines().filter(|line| line.starts_with("qq-auth:"));
        keys.map(str::to_owned).collect()
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn restart(&mut self) {
        self.process = Self::spawn(&self.program, self.port, self.settings);
        self.wait_until_ready().await;
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn list(&self) -> RedisRevocations {
        RedisRevocations::new(&self.url()).unwrap()
    }

    /// Another machine of a site, with its own connection and without a fresh cache.
    fn machine(&self, base: &Site) -> (Site, QqAuthLayer) {
        machine(base, self.list(), never_fresh)
    }

    /// A machine that asks Redis at every request and never counts an old answer.
    fn strict_machine(&self, base: &Site) -> (Site, QqAuthLayer) {
        machine(base, self.list(), |layer| {
            never_fresh(layer).revocation_grace(Duration::ZERO)
        })
    }
}

fn never_fresh(layer: QqAuthLayerBuilder) -> QqAuthLayerBuilder {
    layer.revocation_freshness(Duration::ZERO)
}

/// The configuration file that a node of a cluster writes.
fn nodes_file(port: u16) -> String {
    format!("tower-qq-auth-redis-{port}.conf")
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(std::env::temp_dir().join(nodes_file(self.port)));
    }
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

/// Waits up to ten seconds until the condition holds.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let until = async {
        while !condition().await {
            ticks.tick().await;
        }
    };
    timeout(Duration::from_secs(10), until)
        .await
        .unwrap_or_else(|_| panic!("timed out: {what}"));
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
    let cluster = &["--cluster-enabled", "yes"];
    let Some(redis) = Redis::start_with(cluster).await else {
        return;
    };
    redis.command("CLUSTER ADDSLOTSRANGE 0 16383").await;
    eventually("the cluster is up", async || {
        let info = redis.command("CLUSTER INFO").await;
        info.contains("cluster_state:ok")
    })
    .await;
    let base = Site::new();
    let url = format!("redis+cluster://127.0.0.1:{}", redis.port);
    let list = || RedisRevocations::new(&url).unwrap();
    let (a, _) = machine(&base, list(), never_fresh);
    let (b, _) = machine(&base, list(), never_fresh);
    let browser = a.signed_in().await;
    assert_eq!(status(&at(&browser, &b)).await, StatusCode::OK);
    browser.clone().post("/auth/qq/logout").await;
    assert_eq!(status(&at(&browser, &b)).await, StatusCode::UNAUTHORIZED);

    // First: the other one leaves a cutoff for the same user.
    assert_parallel_raises_are_atomic([list(), list()]).await;
    assert_only_raises_cutoffs(&list()).await;
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
    let cutoff = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
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
    for (key, value) in [(user_key, "1800000000123"), (session_key, "1800000000124")] {
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
    let cutoff = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
    let hour = Duration::from_secs(60 * 60);
    let raise = async || list.raise_cutoff(user, cutoff, hour).await.unwrap();
    for command in [
        "SET {key} garbage",
        "SET {key} inf",
        "SET {key} 1e400",
        "SET {key} -5",
        "SET {key} 99999999999999999999999",
        "LPUSH {key} 1800000000999",
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
    redis.command(&format!("SET {key} 1800000000999")).await;
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

#[tokio::test]
async fn an_invalid_entry_never_counts_as_not_revoked() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let (site, layer) = redis.strict_machine(&base);
    let browser = site.signed_in().await;
    base.clock.turn_back(Duration::from_secs(60));
    layer.revoke_user(&openid(&base)).await.unwrap();
    base.clock.advance(Duration::from_secs(60));
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
    redis.command(&format!("DEL {key}")).await;
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

#[tokio::test]
async fn the_site_can_start_before_redis_does() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    redis.stop();
    let base = Site::new();
    let (site, layer) = redis.machine(&base);
    let browser = site.signed_in().await;
    assert_eq!(status(&browser).await, StatusCode::FAILED_DEPENDENCY);
    let openid = OpenId::new("A").unwrap();
    assert!(layer.revoke_user(&openid).await.is_err());
    redis.restart().await;
    eventually("the list connects", async || {
        status(&browser).await == StatusCode::OK
    })
    .await;
    layer.revoke_user(&openid).await.unwrap();
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

#[tokio::test]
async fn an_unreadable_entry_affects_only_its_user() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let (site, _) = redis.machine(&base);
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
