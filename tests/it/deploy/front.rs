//! A proxy that runs its sample.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use axum::Router;
use tokio::net::TcpStream;

use super::client::Client;
use crate::{
    process::{free_address, installed, replace},
    redis::server::eventually,
    tls::Authority,
};

/// The host of the site. The samples have `example.com`.
pub(super) const WWW: &str = "www.site.test";
pub(super) const BARE: &str = "site.test";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxy {
    Nginx,
    Haproxy,
    Caddy,
}

/// A text of a sample, and what a test puts in its place.
type Change = (&'static str, String);

/// A running proxy, and a folder for its files.
pub(crate) struct Front {
    process: Child,
    folder: PathBuf,
    authority: Authority,
    http: SocketAddr,
    pub(crate) https: SocketAddr,
}

impl Proxy {
    fn sample(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("../../../docs/deploy/nginx.conf"),
            Self::Haproxy => include_str!("../../../docs/deploy/haproxy.cfg"),
            Self::Caddy => include_str!("../../../docs/deploy/Caddyfile"),
        }
    }

    fn program(self) -> Option<PathBuf> {
        let name = match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
        };
        installed(name, name)
    }

    /// Returns the line of the sample that asks another instance, or takes one out of the pool,
    /// after more statuses than by default.
    pub(super) fn retry(self) -> Change {
        let line = match self {
            Self::Nginx => "# proxy_next_upstream error",
            Self::Haproxy => "# retry-on all-retryable-errors",
            Self::Caddy => "# unhealthy_status 5xx 429",
        };
        (line, line.trim_start_matches("# ").to_owned())
    }

    /// Moves the sample to these ports, and its files to the folder.
    fn moved(self, [http, https]: [u16; 2], folder: &Path) -> Vec<Change> {
        let folder = folder.display();
        let file = |name: &str| format!("{folder}/{name}");
        match self {
            Self::Nginx => vec![
                ("/run/nginx.pid", file("pid")),
                ("/var/log/nginx/error.log", file("error.log")),
                ("/var/log/nginx/access.log", file("access.log")),
                ("/etc/ssl/example.com.crt", file("crt")),
                ("/etc/ssl/private/example.com.key", file("key")),
                ("listen 80;", format!("listen 127.0.0.1:{http};")),
                ("listen 443 ", format!("listen 127.0.0.1:{https} ")),
                // Users other than root cannot write to the folders of the package.
                ("http {", format!("http {{ {}", temporary(&file("")))),
            ],
            Self::Haproxy => vec![
                ("user haproxy", format!("user {}", id("-un"))),
                ("group haproxy", format!("group {}", id("-gn"))),
                ("/dev/log", "stdout format raw".into()),
                ("/etc/haproxy/example.com.pem", file("pem")),
                ("bind :80", format!("bind 127.0.0.1:{http}")),
                ("bind :443", format!("bind 127.0.0.1:{https}")),
            ],
            Self::Caddy => vec![
                ("/var/lib/caddy/admin.sock", file("admin.sock")),
                ("/etc/caddy/example.com.crt", file("crt")),
                ("/etc/caddy/example.com.key", file("key")),
                ("http://example.com,", format!("http://example.com:{http},")),
                (
                    "http://www.example.com {",
                    format!("http://www.example.com:{http} {{"),
                ),
                (
                    "https://example.com {",
                    format!("https://example.com:{https} {{"),
                ),
                (
                    "https://www.example.com {",
                    format!("https://www.example.com:{https} {{"),
                ),
            ],
        }
    }

    fn command(self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        match self {
            Self::Nginx => command
                .args(["-g", "daemon off; master_process off;", "-e", "error.log"])
                .args(["-c", "sample", "-p"])
                .arg(folder),
            Self::Haproxy => command.args(["-f", "sample"]),
            Self::Caddy => command
                .args(["run", "--adapter", "caddyfile", "--config", "sample"])
                .env("HOME", folder),
        };
        command.current_dir(folder);
        command
    }
}

fn temporary(folder: &str) -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let path = |kind| format!("{kind}_temp_path {folder}{kind};");
    kinds.map(path).concat()
}

/// Returns the name of this user or group.
fn id(which: &str) -> String {
    let output = Command::new("id").arg(which).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Front {
    /// Starts a proxy in front of these instances. Returns `None` if it is not installed.
    pub(super) async fn start(
        proxy: Proxy,
        instances: [SocketAddr; 2],
        changes: Vec<Change>,
    ) -> Option<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let program = proxy.program()?;
        let number = STARTED.fetch_add(1, Relaxed);
        let name = format!("deploy-{}-{number}", process::id());
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir(&folder).unwrap();
        let authority = Authority::new(&name);
        let (certificate, key) = authority.pem(&[BARE, WWW]);
        fs::write(folder.join("pem"), format!("{certificate}{key}")).unwrap();
        fs::write(folder.join("crt"), certificate).unwrap();
        fs::write(folder.join("key"), key).unwrap();

        let ports = [(); 2].map(|()| free_address().port());
        let [first, second] = instances;
        let mut all = proxy.moved(ports, &folder);
        all.push(("127.0.0.1:3001", first.to_string()));
        all.push(("127.0.0.1:3002", second.to_string()));
        all.extend(changes);
        all.push(("example.com", BARE.into()));
        let mut sample = proxy.sample().to_owned();
        for (text, new) in all {
            sample = replace(&sample, text, &new);
        }
        fs::write(folder.join("sample"), sample).unwrap();

        let output = File::create(folder.join("output.log")).unwrap();
        let mut command = proxy.command(&program, &folder);
        let command = command.stdin(Stdio::null());
        let command = command.stdout(output.try_clone().unwrap()).stderr(output);
        let [http, https] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut front = Self {
            process: command.spawn().unwrap(),
            folder,
            authority,
            http,
            https,
        };
        eventually("the proxy listens", async || {
            let ended = front.process.try_wait().unwrap();
            assert!(ended.is_none(), "{proxy:?} ended: {}", front.logs());
            TcpStream::connect(https).await.is_ok()
        })
        .await;
        Some(front)
    }

    /// Returns everything that the proxy has logged.
    pub(super) fn logs(&self) -> String {
        let files = ["output.log", "error.log", "access.log"];
        let read = |file| fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        files.map(read).concat()
    }

    /// Returns a client for this protocol over TLS.
    pub(super) fn client(&self, host: &'static str, protocol: &str) -> Client {
        Client::https(self.https, host, &self.authority.file, protocol)
    }

    /// Returns a router that sends every request to this host by https.
    pub(super) fn https(&self, host: &'static str) -> Router {
        self.client(host, "h2").router()
    }

    /// Returns a router that sends every request to this host by http.
    pub(super) fn http(&self, host: &'static str) -> Router {
        Client::http(self.http, host).router()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
