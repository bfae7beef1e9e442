//! The list of revoked sessions on a real Redis server, which the tests start themselves.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use http::StatusCode;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{MissedTickBehavior, interval, timeout},
};
use tower_qq_auth::{CachedRevocations, OpenId, QqAuthLayer, RedisRevocations};

use crate::{
    process::{Running, browser, choose, page},
    site::{Browser, Site, layer, pages},
};

/// A server of our own, on a port that was free, with nothing on disk.
struct Redis {
    process: Child,
    program: PathBuf,
    port: u16,
    settings: &'static [&'static str],
}

impl Redis {
    /// `None`, loudly, where it is not installed; where it must be, a failure.
    async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    async fn start_with(settings: &'static [&'static str]) -> Option<Self> {
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
        redis.is_up().await;
        Some(redis)
    }

    fn spawn(program: &PathBuf, port: u16, settings: &[&str]) -> Child {
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

    async fn is_up(&self) {
        eventually("redis answers", async || {
            self.ask("PING").await == Some("+PONG".into())
        })
        .await;
    }

    /// The first line of the answer to a command, if there is one.
    async fn ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .await
            .ok()?;
        let mut answer = vec![0; 64 * 1024];
        let read = stream.read(&mut answer).await.ok()?;
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        answer.lines().next().map(str::to_owned)
    }

    /// All of the answer to a command that gives a list.
    async fn list(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = vec![0; 64 * 1024];
        let read = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn start_again(&mut self) {
        self.process = Self::spawn(&self.program, self.port, self.settings);
        self.is_up().await;
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

    /// One machine of the site at `base`: with its own connection, and a cache that is never fresh.
    fn machine(&self, base: &Site) -> (Site, QqAuthLayer) {
        let list = RedisRevocations::cached(&format!("redis://127.0.0.1:{}", self.port));
        machine(base, list.unwrap().fresh_for(Duration::ZERO))
    }
}

/// What a node of a cluster writes down.
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

fn machine(base: &Site, list: CachedRevocations<RedisRevocations>) -> (Site, QqAuthLayer) {
    let clock = base.clock.clone();
    let handle = layer(&base.qq).clock(move || clock.now()).revocations(list);
    let router = pages().layer(handle.clone());
    (
        Site {
            router,
            ..base.clone()
        },
        handle,
    )
}

/// Waits until it is so, for ten seconds.
async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let until = async {
        while !so().await {
            ticks.tick().await;
        }
    };
    timeout(Duration::from_secs(10), until)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
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

#[tokio::test]
async fn two_machines_share_logins_sessions_and_logouts() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let ((a, _), (b, handle)) = (redis.machine(&base), redis.machine(&base));

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
        "refused at b"
    );
    assert_eq!(
        status(&at(&stolen, &a)).await,
        StatusCode::UNAUTHORIZED,
        "refused at a"
    );

    let browser = a.signed_in().await;
    assert_eq!(status(&at(&browser, &b)).await, StatusCode::OK);
    base.clock.advance(Duration::from_millis(1));
    let openid = OpenId::new(base.qq.people()[0].openid.clone()).unwrap();
    handle.revoke_user(&openid).await.unwrap();
    assert_eq!(status(&browser).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_cluster_does_what_a_single_server_does() {
    let cluster = &["--cluster-enabled", "yes"];
    let Some(redis) = Redis::start_with(cluster).await else {
        return;
    };
    redis.ask("CLUSTER ADDSLOTSRANGE 0 16383").await;
    eventually("the cluster is up", async || {
        redis
            .list("CLUSTER INFO")
            .await
            .contains("cluster_state:ok")
    })
    .await;
    let base = Site::new();
    let url = format!("redis+cluster://127.0.0.1:{}", redis.port);
    let list = || {
        RedisRevocations::cached(&url)
            .unwrap()
            .fresh_for(Duration::ZERO)
    };
    let ((a, _), (b, _)) = (machine(&base, list()), machine(&base, list()));
    let browser = a.signed_in().await;
    assert_eq!(status(&at(&browser, &b)).await, StatusCode::OK);
    browser.clone().post("/auth/qq/logout").await;
    assert_eq!(status(&at(&browser, &b)).await, StatusCode::UNAUTHORIZED);
}

/// Two instances of the example, each asked over its own socket.
async fn check_cluster(environment: &[(&str, &str)]) {
    let mut running = Running::start("cluster", environment);
    let second = running.printed("second").await;
    let first = running.printed("open").await;
    let browser = browser();
    let mock = page(&browser, &format!("{second}me")).await;
    choose(&browser, mock, 0).await;
    let seen = async |site: &str| {
        let me = browser
            .get(format!("{site}me"))
            .header("accept", "application/json");
        me.send().await.unwrap().status()
    };
    assert_eq!(
        (seen(&first).await, seen(&second).await),
        (StatusCode::OK, StatusCode::OK)
    );

    let everywhere = browser
        .post(format!("{first}leave-everywhere"))
        .send()
        .await
        .unwrap();
    assert_eq!(everywhere.status(), StatusCode::NO_CONTENT);
    eventually("the second has heard of it", async || {
        seen(&second).await == StatusCode::UNAUTHORIZED
    })
    .await;
    assert_eq!(seen(&first).await, StatusCode::UNAUTHORIZED);
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
    let url = format!("redis://127.0.0.1:{}", redis.port);
    check_cluster(&[("LISTEN", "127.0.0.1:0"), ("REDIS_URL", &url)]).await;
    let keys = redis.list("KEYS *").await;
    assert!(keys.contains("qq-auth:"), "{keys}");
}

#[tokio::test]
async fn entries_are_small_anonymous_and_end_by_themselves() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let (site, handle) = redis.machine(&base);
    site.signed_in().await.post("/auth/qq/logout").await;
    let openid = OpenId::new(base.qq.people()[0].openid.clone()).unwrap();
    handle.revoke_user(&openid).await.unwrap();

    let keys = redis.list("KEYS *").await;
    let keys: Vec<&str> = keys
        .lines()
        .filter(|line| line.starts_with("qq-auth:"))
        .collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        assert!(!key.contains(openid.as_str()));
        let ends = redis.ask(&format!("TTL {key}")).await.unwrap();
        let ends: u64 = ends.trim_start_matches(':').parse().unwrap();
        let month = 30 * 24 * 60 * 60;
        assert!(
            (month - 60..month + 3600).contains(&ends),
            "{key} ends in {ends} s"
        );
        let bytes = redis.ask(&format!("MEMORY USAGE {key}")).await.unwrap();
        let bytes: u64 = bytes.trim_start_matches(':').parse().unwrap();
        assert!(bytes < 300, "{key} takes {bytes} bytes");
    }
}

#[tokio::test]
async fn a_server_that_stops_and_starts_is_found_again() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let list = RedisRevocations::cached(&format!("redis://127.0.0.1:{}", redis.port)).unwrap();
    let (site, _) = machine(&base, list.clone().fresh_for(Duration::ZERO));
    let (strict, _) = machine(&base, list.fresh_for(Duration::ZERO).grace(Duration::ZERO));
    let browser = site.signed_in().await;
    let checked = at(&browser, &strict);
    assert_eq!(status(&browser).await, StatusCode::OK);
    assert_eq!(status(&checked).await, StatusCode::OK);

    redis.stop();
    assert_eq!(
        status(&browser).await,
        StatusCode::OK,
        "what was known serves"
    );
    assert_eq!(status(&checked).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        checked.clone().whoami().await,
        Value::Null,
        "public pages stay"
    );
    assert_eq!(
        status(&strict.browser()).await,
        StatusCode::UNAUTHORIZED,
        "nobody is nobody"
    );

    redis.start_again().await;
    eventually("the session is checked again", async || {
        status(&checked).await == StatusCode::OK
    })
    .await;
    assert_eq!(status(&browser).await, StatusCode::OK);
}

#[tokio::test]
async fn a_server_that_hangs_costs_half_a_second_once_and_is_found_again() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let list = RedisRevocations::cached(&format!("redis://127.0.0.1:{}", redis.port)).unwrap();
    let (site, _) = machine(&base, list.fresh_for(Duration::ZERO).grace(Duration::ZERO));
    let browser = site.signed_in().await;
    assert_eq!(status(&browser).await, StatusCode::OK);

    redis.signal("-STOP");
    let start = std::time::Instant::now();
    assert_eq!(status(&browser).await, StatusCode::SERVICE_UNAVAILABLE);
    for _ in 0..20 {
        assert_eq!(status(&browser).await, StatusCode::SERVICE_UNAVAILABLE);
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
async fn what_is_no_entry_lets_nobody_in() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let list = RedisRevocations::cached(&format!("redis://127.0.0.1:{}", redis.port)).unwrap();
    let (site, handle) = machine(&base, list.fresh_for(Duration::ZERO).grace(Duration::ZERO));
    let browser = site.signed_in().await;
    base.clock.turn_back(Duration::from_secs(60));
    let openid = OpenId::new(base.qq.people()[0].openid.clone()).unwrap();
    handle.revoke_user(&openid).await.unwrap();
    base.clock.advance(Duration::from_secs(60));
    assert_eq!(status(&browser).await, StatusCode::OK, "it began later");
    let keys = redis.list("KEYS *").await;
    let key = keys
        .lines()
        .find(|line| line.starts_with("qq-auth:"))
        .unwrap();

    for garbage in [
        "rubbish",
        "-1",
        "1.5",
        "99999999999999999999999",
        "18446744073709551615",
    ] {
        redis.ask(&format!("SET {key} {garbage}")).await;
        let seen = status(&browser).await;
        assert_ne!(seen, StatusCode::OK, "{garbage}");
    }
    redis.ask(&format!("DEL {key}")).await;
    redis.ask(&format!("RPUSH {key} x")).await;
    eventually("the pause is over", async || {
        status(&browser).await == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    redis.ask(&format!("DEL {key}")).await;
    eventually("all is well again", async || {
        status(&browser).await == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_no_reason_not_to_start() {
    let Some(mut redis) = Redis::start().await else {
        return;
    };
    redis.stop();
    let base = Site::new();
    let (site, handle) = redis.machine(&base);
    let browser = site.signed_in().await;
    assert_eq!(status(&browser).await, StatusCode::SERVICE_UNAVAILABLE);
    let openid = OpenId::new("A").unwrap();
    assert!(handle.revoke_user(&openid).await.is_err());
    redis.start_again().await;
    eventually("it is found", async || {
        status(&browser).await == StatusCode::OK
    })
    .await;
    handle.revoke_user(&openid).await.unwrap();
}

#[test]
fn urls_that_cannot_work_are_refused_without_their_password() {
    for url in [
        "",
        "canary",
        "http://canary@x",
        "redis+cluster://",
        "redis://h:canary",
        "redis://h:6379/canary",
    ] {
        let error = RedisRevocations::cached(url).unwrap_err().to_string();
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
        let list = RedisRevocations::cached(url).unwrap();
        assert!(!format!("{list:?}").contains("password"));
    }
}

#[tokio::test]
async fn a_connection_that_idled_away_costs_no_answer_and_no_logout() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let list = RedisRevocations::cached(&format!("redis://127.0.0.1:{}", redis.port)).unwrap();
    // A look-up that is answered from the cache does not find out that the connection is gone.
    let (site, _) = machine(&base, list.grace(Duration::ZERO));
    let mut browser = site.signed_in().await;
    assert_eq!(status(&browser).await, StatusCode::OK);
    let stolen = browser.clone();
    redis.ask("CLIENT KILL TYPE normal").await;
    browser.post("/auth/qq/logout").await;
    assert!(redis.list("KEYS *").await.contains("qq-auth:"));
    assert_eq!(status(&stolen).await, StatusCode::UNAUTHORIZED);

    let browser = site.signed_in().await;
    redis.ask("CLIENT KILL TYPE normal").await;
    assert_eq!(status(&browser).await, StatusCode::OK);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_the_trouble_of_one_person() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let base = Site::new();
    let (site, _) = redis.machine(&base);
    let person = base.qq.people()[1].openid.clone();
    let other = async || {
        let mut other = site.browser();
        let start = other.get("/auth/qq/login").await;
        let callback = base.qq.approve_as(start.location(), &person).unwrap();
        other.get(&crate::site::path(&callback)).await;
        other
    };
    let browser = site.signed_in().await;
    // The user's key is that of an entry of theirs without the session.
    site.signed_in().await.post("/auth/qq/logout").await;
    let keys = redis.list("KEYS *").await;
    let key = keys
        .lines()
        .find(|line| line.starts_with("qq-auth:"))
        .unwrap();
    let user = key.rsplit_once(':').unwrap().0;
    for garbage in [
        format!("SET {user} rubbish"),
        format!(r#"SET {user} "\xff\xfe""#),
        format!("SADD {user} x"),
        format!("HSET {user} x y"),
    ] {
        redis.ask(&format!("DEL {user}")).await;
        redis.ask(&garbage).await;
        assert_eq!(
            status(&browser).await,
            StatusCode::SERVICE_UNAVAILABLE,
            "{garbage}"
        );
        // Of a session that nobody has asked about before.
        assert_eq!(status(&other().await).await, StatusCode::OK, "{garbage}");
    }
}
