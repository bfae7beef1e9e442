//! The programs around a run: sites, Redis, nginx. Each ends with the value that stands for it.

use std::{
    env, fs,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use redis::{Connection, RedisResult, Value};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

use crate::setup::SESSION_KEY;

/// A folder for the files of a run. The logs in it stay.
pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/run");
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Returns a port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

async fn wait_for(port: u16) {
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing listens on port {port}");
}

/// A site process.
pub struct Site {
    process: Child,
    pub machines: Vec<SocketAddr>,
    pub log: PathBuf,
}

/// The use of a process.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory in KiB.
    pub memory: usize,
    pub descriptors: usize,
    /// Processor time in seconds.
    pub processor: f64,
}

impl Site {
    /// Starts this program as a site. Its log is in a file of this name.
    pub async fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let log = folder().join(format!("{name}.log"));
        let mut process = Command::new(env::current_exe().expect("this program"))
            .arg("site")
            .env_clear()
            .env("QQ_SESSION_KEY", SESSION_KEY)
            .env("RUST_LOG", "warn,tower_qq_auth=info")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("the site starts");
        let is_count = |(name, _): &&(&str, &str)| *name == "SITE_MACHINES";
        let count = environment.iter().find(is_count);
        let count = count.map_or(1, |(_, count)| count.parse().expect("a number"));
        let printed = process.stdout.take().expect("its output");
        let (mut lines, mut machines) = (BufReader::new(printed).lines(), Vec::new());
        while machines.len() < count {
            let line = lines.next_line().await.expect("its output");
            machines.push(line.expect("it runs").parse().expect("an address"));
        }
        Self {
            process,
            machines,
            log,
        }
    }

    pub fn usage(&self) -> Usage {
        let id = self.process.id().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.expect("a number").trim().trim_end_matches(" kB");
        let files = fs::read_dir(format!("/proc/{id}/fd")).expect("it runs");
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
        // The fields after the name, which ends with the last parenthesis: 100 ticks a second.
        let fields = stat.rsplit(") ").next().expect("fields").split(' ');
        let ticks = fields.skip(11).take(2).map(|it| it.parse::<f64>());
        Usage {
            memory: memory.parse().expect("a number"),
            descriptors: files.count(),
            processor: ticks.map(|it| it.expect("a number")).sum::<f64>() / 100.0,
        }
    }
}

/// A Redis in memory.
pub struct Redis {
    _process: Child,
    pub url: String,
}

impl Redis {
    pub async fn start() -> Self {
        let port = free_port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is installed");
        wait_for(port).await;
        let url = format!("redis://127.0.0.1:{port}");
        Self {
            _process: process,
            url,
        }
    }

    pub fn connect(&self) -> Connection {
        let client = redis::Client::open(&*self.url).expect("a URL");
        client.get_connection().expect("Redis answers")
    }

    /// Returns a number of `INFO`, such as `used_memory`, or `calls` of `cmdstat_get`.
    pub fn info(&self, name: &str) -> f64 {
        let info: RedisResult<String> = redis::cmd("INFO").arg("all").query(&mut self.connect());
        let info = info.expect("an answer");
        let value = info
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = value.unwrap_or("0");
        let value = value.strip_prefix("calls=").unwrap_or(value);
        let value = value.split(',').next().unwrap_or_default();
        value.parse().expect("a number")
    }

    /// Returns the number of checks so far: each is two `GET`.
    pub fn checks(&self) -> f64 {
        self.info("cmdstat_get") / 2.0
    }

    /// Returns the processor time so far, in seconds.
    pub fn processor(&self) -> f64 {
        self.info("used_cpu_sys") + self.info("used_cpu_user")
    }

    pub fn clear(&self) {
        let cleared = redis::cmd("FLUSHALL").query::<Value>(&mut self.connect());
        cleared.expect("an answer");
    }
}

/// An nginx with these blocks in its `http` block.
pub struct Nginx {
    _process: Child,
}

impl Nginx {
    /// Waits until it listens on `port`, which a block has to name.
    pub async fn start(name: &str, port: u16, blocks: &str) -> Self {
        let folder = folder();
        let file = folder.join(format!("{name}.conf"));
        let configuration = format!(
            "daemon off; master_process off; pid {name}.pid; error_log {name}.log;
            worker_rlimit_nofile 10000;
            events {{ worker_connections 4096; }}
            http {{
                access_log off;
                client_body_temp_path {name}-body; proxy_temp_path {name}-proxy;
                fastcgi_temp_path {name}-1; uwsgi_temp_path {name}-2; scgi_temp_path {name}-3;
                {blocks}
            }}"
        );
        fs::write(&file, configuration).expect("a file");
        let process = Command::new("nginx")
            .args(["-e", &format!("{name}.log"), "-c"])
            .arg(&file)
            .arg("-p")
            .arg(&folder)
            .kill_on_drop(true)
            .spawn()
            .expect("nginx is installed");
        wait_for(port).await;
        Self { _process: process }
    }
}
