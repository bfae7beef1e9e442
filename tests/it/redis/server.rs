//! Redis servers that the tests start.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};
use tower_qq_auth::revocation::RedisRevocations;

use crate::process::{free_address, installed};
use crate::tls::Authority;

/// A Redis server on a free port that keeps nothing on disk.
pub(crate) struct Redis {
    process: Child,
    program: PathBuf,
    pub(crate) port: u16,
    settings: Vec<String>,
}

impl Redis {
    /// Returns `None` and says so if Redis is not installed. In CI that is a failure.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &[&str]) -> Option<Self> {
        let program = installed("redis-server", "redis-server")?;
        let port = free_address().port();
        let settings: Vec<_> = settings.iter().map(|&it| it.to_owned()).collect();
        let process = command(&program, port, &settings).spawn().unwrap();
        let redis = Self {
            process,
            program,
            port,
            settings,
        };
        redis.wait_until_ready().await;
        Some(redis)
    }

    async fn wait_until_ready(&self) {
        eventually("redis is ready", async || {
            // With a password it replies that there is one.
            self.try_command("PING")
                .await
                .is_some_and(|reply| reply.starts_with("+PONG") || reply.starts_with("-NOAUTH"))
        })
        .await;
    }

    /// Returns the whole reply to a command.
    pub(super) async fn command(&self, command: &str) -> String {
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
    pub(super) async fn integer(&self, command: &str) -> u64 {
        let reply = self.command(command).await;
        let integer = reply.trim_end().strip_prefix(':');
        integer.and_then(|it| it.parse().ok()).expect(&reply)
    }

    /// Returns the keys of the revocation list.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let reply = self.command("KEYS *").await;
        let keys = reply.lines().filter(|line| line.starts_with("qq-auth:"));
        keys.map(str::to_owned).collect()
    }

    /// Stops the server as a crash does.
    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops the server after it has written its entries to disk.
    #[cfg(target_os = "linux")]
    pub(super) async fn save_and_stop(&mut self) {
        self.try_command("SHUTDOWN SAVE").await;
        self.process.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.restart_in(&[]).await;
    }

    /// Restarts the server with these environment variables.
    pub(super) async fn restart_in(&mut self, environment: &[(&str, &str)]) {
        let mut command = command(&self.program, self.port, &self.settings);
        self.process = command.envs(environment.iter().copied()).spawn().unwrap();
        self.wait_until_ready().await;
    }

    pub(crate) fn signal(&self, signal: &str) {
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

    pub(super) fn cluster_url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{}", self.port)
    }

    pub(super) fn list(&self) -> RedisRevocations {
        RedisRevocations::new(&self.url()).unwrap()
    }

    /// Starts a node of a cluster that has these slots.
    pub(super) async fn start_node(slots: &str) -> Option<Self> {
        let redis = Self::start_with(&["--cluster-enabled", "yes"]).await?;
        let command = format!("CLUSTER ADDSLOTSRANGE {slots}");
        assert_eq!(redis.command(&command).await, "+OK\r\n");
        Some(redis)
    }

    pub(super) async fn wait_for_cluster(&self) {
        eventually("the cluster is up", async || {
            let info = self.command("CLUSTER INFO").await;
            info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
        })
        .await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for file in [nodes_file(self.port), dump_file(self.port)] {
            let _ = fs::remove_file(std::env::temp_dir().join(file));
        }
    }
}

/// A Redis with TLS at another port, and its certificate by an authority that nothing trusts.
pub(crate) struct TlsRedis {
    pub(super) redis: Redis,
    pub(super) port: u16,
    files: [PathBuf; 2],
    authority: Authority,
}

impl TlsRedis {
    pub(crate) async fn start(name: &str) -> Option<Self> {
        let authority = Authority::new(name);
        let (certificate, key) = authority.pem(&["localhost"]);
        let file = |kind: &str| authority.file.with_extension(kind);
        let files = [file("crt"), file("key")];
        fs::write(&files[0], certificate).unwrap();
        fs::write(&files[1], key).unwrap();
        let port = free_address().port();
        let tls_port = port.to_string();
        let [certificate, key] = [0, 1].map(|at| files[at].to_str().unwrap());
        let settings = [
            ["--tls-port", &tls_port],
            ["--tls-cert-file", certificate],
            ["--tls-key-file", key],
            ["--tls-ca-cert-file", authority.file.to_str().unwrap()],
            ["--tls-auth-clients", "no"],
        ];
        let redis = Redis::start_with(settings.as_flattened()).await?;
        Some(Self {
            redis,
            port,
            files,
            authority,
        })
    }

    pub(crate) fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    /// Returns the file with the certificate of the authority.
    pub(crate) fn authority(&self) -> &str {
        self.authority.file.to_str().unwrap()
    }
}

impl Drop for TlsRedis {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
    }
}

fn command(program: &PathBuf, port: u16, settings: &[String]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(std::env::temp_dir())
        .args(["--cluster-config-file", &nodes_file(port)])
        .args(["--dbfilename", &dump_file(port)])
        .args(settings)
        .stdout(Stdio::null());
    command
}

/// The configuration file that a node of a cluster writes.
fn nodes_file(port: u16) -> String {
    format!("tower-qq-auth-redis-{port}.conf")
}

fn dump_file(port: u16) -> String {
    format!("tower-qq-auth-redis-{port}.rdb")
}

/// Waits up to half a minute until the condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let until = async {
        while !condition().await {
            ticks.tick().await;
        }
    };
    timeout(Duration::from_secs(30), until)
        .await
        .unwrap_or_else(|_| panic!("timed out: {what}"));
}
