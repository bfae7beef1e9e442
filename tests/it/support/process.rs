//! Runs the examples as processes, and visits them with a browser that follows redirects.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
};

use http::HeaderValue;
use reqwest::{
    Client, ClientBuilder, Response, Url,
    cookie::{CookieStore, Jar},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
};
use tower_qq_auth::SessionKeys;

use crate::site::{APP_ID, APP_KEY};

pub(crate) const SESSION_KEY: &str =
    "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";

/// The session keys of the site that [`Running::at_qq`] starts.
pub(crate) fn session_keys() -> SessionKeys {
    let byte = |at| u8::from_str_radix(&SESSION_KEY[at..at + 2], 16).unwrap();
    let bytes: Vec<_> = (0..SESSION_KEY.len()).step_by(2).map(byte).collect();
    SessionKeys::new(&bytes).unwrap()
}

/// Returns the command that runs an example with this environment and nothing else in it.
pub(crate) fn example(name: &str, environment: &[(&str, &str)]) -> Command {
    let test = std::env::current_exe().unwrap();
    let target: PathBuf = test.ancestors().nth(2).unwrap().into();
    let program = target.join("examples").join(name);
    assert!(
        program.exists(),
        "{name} is not built: run `cargo build --workspace --all-features --examples`"
    );
    let mut command = Command::new(program);
    command.env_clear().envs(environment.iter().copied());
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Returns the program if it is installed. Otherwise prints how to install it; in CI, where no test
/// may be skipped, panics.
pub(crate) fn installed(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers are often in folders that only the path of root names.
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join(name));
    let found = programs.find(|program| program.exists());
    if found.is_none() {
        let reason = format!("{name} is not installed (apt-get install {package})");
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        eprintln!("SKIPPED: {reason}");
    }
    found
}

/// A running example, and the lines that it has printed so far.
pub(crate) struct Running {
    process: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    lines: Vec<String>,
}

impl Running {
    pub(crate) fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut process = example(name, environment).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let stderr = BufReader::new(process.stderr.take().unwrap());
        Self {
            process,
            stdout,
            stderr,
            lines: Vec::new(),
        }
    }

    /// Starts a site whose QQ is at `base_url`, and returns it with its address once it listens.
    pub(crate) async fn at_qq(base_url: &str, more: &[(&str, &str)]) -> (Self, SocketAddr) {
        Self::example_at_qq("quickstart", base_url, more).await
    }

    /// Does the same with an example other than the quickstart.
    pub(crate) async fn example_at_qq(
        name: &str,
        base_url: &str,
        more: &[(&str, &str)],
    ) -> (Self, SocketAddr) {
        // The redirect URI names the port before the site listens.
        let site = free_address();
        let (listen, callback) = (site.to_string(), callback_at(site));
        let mut environment = vec![
            ("LISTEN", listen.as_str()),
            ("QQ_APP_ID", APP_ID),
            ("QQ_APP_KEY", APP_KEY),
            ("QQ_REDIRECT_URI", &callback),
            ("QQ_SESSION_KEY", SESSION_KEY),
            ("QQ_BASE_URL", base_url),
        ];
        environment.extend(more);
        let mut running = Self::start(name, &environment);
        let printed = running.printed("callback").await;
        assert!(printed.starts_with(&callback), "{printed}");
        (running, site)
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Sends the process a signal, such as `TERM`.
    #[cfg(all(unix, feature = "redis"))]
    pub(crate) fn signal(&self, signal: &str) {
        let signal = format!("-{signal}");
        let mut kill = std::process::Command::new("kill");
        let sent = kill.args([&signal, &self.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Returns the exit status if the process has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    /// Waits for the end of the process.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        self.process.wait().await.unwrap()
    }

    /// Kills the process and waits until its port is free.
    #[cfg(feature = "revocation")]
    pub(crate) async fn stop(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Waits for the next log line that contains `part` and returns it.
    pub(crate) async fn logged(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).await.unwrap();
            assert_ne!(read, 0, "the process ended: {:?}", self.ended());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Waits for the next printed line that starts with `start` and returns the rest of it.
    pub(crate) async fn printed(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).await.unwrap();
            assert_ne!(
                read,
                0,
                "the process ended ({:?}) and printed {:?}",
                self.process.try_wait(),
                self.lines
            );
            let found = line.strip_prefix(start).map(|rest| rest.trim().to_owned());
            self.lines.push(line);
            if let Some(rest) = found {
                return rest;
            }
        }
    }
}

/// Returns the address of a port that is free for a process to listen at.
///
/// The system gives it to no other socket meanwhile, because it is below the ports that systems
/// choose themselves, and no other test of this process gets it. The same holds for the port that is
/// higher by 10,000, which a node of a Redis cluster takes as well.
pub(crate) fn free_address() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    const PORTS: std::ops::Range<u16> = 10_000..20_000;
    let start = std::process::id() % 1_000 * 10;
    for _ in PORTS {
        let number = (start + u32::from(TAKEN.fetch_add(1, Relaxed))) % PORTS.len() as u32;
        let address = SocketAddr::from(([127, 0, 0, 1], PORTS.start + number as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port from {PORTS:?} is free");
}

/// Returns the redirect URI of a site at this address.
pub(crate) fn callback_at(site: SocketAddr) -> String {
    format!("http://{site}/auth/qq/callback")
}

pub(crate) fn browser() -> Client {
    client_builder().cookie_store(true).build().unwrap()
}

/// Returns a browser and a record of the cookies that responses set in it.
pub(crate) fn recorded_browser() -> (Client, Arc<Cookies>) {
    let cookies = Arc::new(Cookies::default());
    let browser = client_builder().cookie_provider(Arc::clone(&cookies));
    (browser.build().unwrap(), cookies)
}

fn client_builder() -> ClientBuilder {
    Client::builder().no_proxy()
}

#[derive(Default)]
pub(crate) struct Cookies {
    jar: Jar,
    set: Mutex<Vec<String>>,
}

impl Cookies {
    /// Returns every `Set-Cookie` value so far that starts with `start`.
    pub(crate) fn set(&self, start: &str) -> Vec<String> {
        let set = self.set.lock().unwrap();
        set.iter()
            .filter(|cookie| cookie.starts_with(start))
            .cloned()
            .collect()
    }
}

impl CookieStore for Cookies {
    fn set_cookies(&self, cookies: &mut dyn Iterator<Item = &HeaderValue>, url: &Url) {
        let cookies: Vec<_> = cookies.collect();
        let texts = cookies
            .iter()
            .map(|cookie| cookie.to_str().unwrap().to_owned());
        self.set.lock().unwrap().extend(texts);
        self.jar.set_cookies(&mut cookies.into_iter(), url);
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        self.jar.cookies(url)
    }
}

/// Opens a page as if by a link on the same site.
pub(crate) async fn page(browser: &Client, url: &str) -> Response {
    browser
        .get(url)
        .header("accept", "text/html")
        .header("sec-fetch-site", "same-origin")
        .send()
        .await
        .unwrap()
}

/// Clicks the link of a user on the mock's page.
pub(crate) async fn choose(browser: &Client, mock: Response, user: usize) -> Response {
    let url = mock.url().clone();
    let body = mock.text().await.unwrap();
    let link = body
        .split("href=\"?")
        .nth(1 + user)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let url = url
        .join(&format!("?{}", link.replace("&amp;", "&")))
        .unwrap();
    page(browser, url.as_str()).await
}

/// Replaces a part of a sample file that a test cannot use as it is.
#[cfg(feature = "redis")]
#[track_caller]
pub(crate) fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replace(from, to)
}
