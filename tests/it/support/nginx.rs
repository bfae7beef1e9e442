//! A real nginx in front of the machines of a site.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, UnixStream},
    time::{MissedTickBehavior, interval, timeout},
};
use tower::{BoxError, service_fn};

use crate::{process::installed, socket::serve};

/// The header in which nginx lists the machines that it asked, separated by commas. Its own answers
/// have none.
pub(crate) const ASKED: &str = "x-asked";

/// A running nginx. It listens on a socket in a folder of its own, so it needs no free port and no
/// privilege.
pub(crate) struct Nginx {
    process: Child,
    folder: PathBuf,
}

impl Nginx {
    /// Serves each machine on a port and puts nginx with its defaults and these `settings` in front
    /// of them. Returns `None` if nginx is not installed.
    pub(crate) async fn start(machines: [Router; 2], settings: &str) -> Option<Self> {
        let locations = |_: &[SocketAddr]| {
            format!(
                "location / {{
                    proxy_pass http://machines;
                    add_header {ASKED} $upstream_addr always;
                    {settings}
                }}"
            )
        };
        Self::with_locations(machines, locations).await
    }

    /// Like [`start`](Self::start), with these locations for the addresses of the machines.
    pub(crate) async fn with_locations(
        machines: [Router; 2],
        locations: impl FnOnce(&[SocketAddr]) -> String,
    ) -> Option<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let program = installed("nginx", "nginx")?;
        let mut addresses = Vec::new();
        for machine in machines {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            serve(listener, machine);
        }
        let servers = addresses.iter().map(|address| format!("server {address};"));
        let (upstream, locations) = (servers.collect::<String>(), locations(&addresses));
        let (id, number) = (process::id(), STARTED.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(format!("tower-qq-auth-nginx-{id}-{number}"));
        fs::create_dir(&folder).unwrap();
        let socket = folder.join("socket");
        let socket = socket.display();
        let configuration = format!(
            "daemon off; master_process off; pid pid; error_log error.log;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                upstream machines {{ {upstream} }}
                server {{
                    listen unix:{socket};
                    {locations}
                }}
            }}"
        );
        fs::write(folder.join("nginx.conf"), configuration).unwrap();
        let process = Command::new(program)
            .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
            .arg(&folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut nginx = Self { process, folder };
        nginx.wait_until_ready().await;
        Some(nginx)
    }

    async fn wait_until_ready(&mut self) {
        let mut ticks = interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ready = async {
            while UnixStream::connect(self.socket()).await.is_err() {
                if let Some(status) = self.process.try_wait().unwrap() {
                    let log = fs::read_to_string(self.folder.join("error.log"));
                    panic!("nginx ended with {status}: {}", log.unwrap_or_default());
                }
                ticks.tick().await;
            }
        };
        let ready = timeout(Duration::from_secs(10), ready).await;
        ready.expect("nginx listens");
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Returns a router that sends every request to nginx, for the browsers of a site.
    pub(crate) fn router(&self) -> Router {
        let socket = self.socket();
        let ask = service_fn(move |request: Request<Body>| {
            let socket = socket.clone();
            async move { Ok(ask(socket, request).await.expect("nginx answers")) }
        });
        Router::new().fallback_service(ask)
    }
}

async fn ask(
    socket: PathBuf,
    mut request: Request<Body>,
) -> Result<http::Response<Body>, BoxError> {
    let stream = TokioIo::new(UnixStream::connect(socket).await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    let host = HeaderValue::from_static("site.example");
    request.headers_mut().insert(header::HOST, host);
    Ok(sender.send_request(request).await?.map(Body::new))
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
