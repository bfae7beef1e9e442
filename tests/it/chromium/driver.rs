//! A window of a real Chromium, driven through chromedriver.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    key::Key,
    wd::{Capabilities, WebDriverCompatibleCommand, WindowHandle},
};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::{runtime::Handle, task::block_in_place, time::timeout};
use url::{ParseError, Url};

use super::avatars;

/// The ways in which browsers differ from each other.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// The languages in `Accept-Language`.
    pub(super) languages: &'static str,
    pub(super) is_phone: bool,
    pub(super) blocks_cookies: bool,
    /// Commands wait until the page has loaded.
    pub(super) waits_for_pages: bool,
}

pub(super) const CHINESE: Settings = Settings {
    languages: "zh-CN,zh",
    is_phone: false,
    blocks_cookies: false,
    waits_for_pages: true,
};

pub(super) const ENGLISH: Settings = Settings {
    languages: "en-US,en",
    ..CHINESE
};

/// A window of a new browser, which exits when the window is dropped.
pub(super) struct Window {
    client: Client,
    _driver: Driver,
}

impl Window {
    /// Opens a window, or skips the test if the browser is not installed.
    pub(super) async fn open(settings: Settings) -> Option<Self> {
        let (chromium, chromedriver) = (find_program("chromium")?, find_program("chromedriver")?);
        let (driver, url) = Driver::start(&chromedriver);
        let capabilities = capabilities(settings, &chromium, avatars::serve().await);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&url)
            .await
            .unwrap();
        Some(Self {
            client,
            _driver: driver,
        })
    }

    pub(super) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub(super) async fn back(&self) {
        self.client.back().await.unwrap();
    }

    pub(super) async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    pub(super) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().into()
    }

    /// Returns the visible text of the page.
    pub(super) async fn text(&self) -> String {
        let text = self.run("return document.body.innerText").await;
        text.as_str().unwrap().to_owned()
    }

    /// Clicks an element and waits until its page has been left.
    pub(super) async fn click(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await.unwrap();
        element.click().await.unwrap();
        let leave = async { while element.tag_name().await.is_ok() {} };
        let left = timeout(Duration::from_secs(20), leave).await;
        left.unwrap_or_else(|_| panic!("{selector} does not lead to another page"));
    }

    /// Waits until the page shows a text.
    pub(super) async fn wait_for(&self, text: &str) {
        let script = "return document.body?.innerText ?? ''";
        let shows = async || {
            // Fails while the browser changes to another page.
            let shown = self.client.execute(script, Vec::new()).await;
            shown.is_ok_and(|shown| shown.as_str().is_some_and(|shown| shown.contains(text)))
        };
        let wait = async { while !shows().await {} };
        let waited = timeout(Duration::from_secs(20), wait).await;
        if waited.is_err() {
            panic!("{text:?} is not in {}", self.text().await);
        }
    }

    pub(super) async fn delete_cookies(&self) {
        self.client.delete_all_cookies().await.unwrap();
    }

    /// Returns the names of the cookies that the browser has for this page.
    pub(super) async fn cookie_names(&self) -> Vec<String> {
        let cookies = self.client.get_all_cookies().await.unwrap();
        let names = cookies.iter().map(|cookie| cookie.name().to_owned());
        names.collect()
    }

    pub(super) async fn press(&self, key: Key) {
        let value = key.into();
        let press = KeyActions::new("keyboard".into())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client.perform_actions(press).await.unwrap();
    }

    /// Runs a script, which the content security policy of the page does not affect.
    pub(super) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    pub(super) async fn current_tab(&self) -> WindowHandle {
        self.client.window().await.unwrap()
    }

    /// Opens another tab and switches to it.
    pub(super) async fn open_tab(&self) {
        let tab = self.client.new_window(true).await.unwrap();
        self.switch_to(tab.handle).await;
    }

    /// Switches to the tab that a page has just opened.
    pub(super) async fn switch_to_new_tab(&self) {
        let current = self.current_tab().await;
        let tabs = self.client.windows().await.unwrap();
        let new = tabs.into_iter().find(|tab| *tab != current);
        self.switch_to(new.expect("the page opens a tab")).await;
    }

    pub(super) async fn switch_to(&self, tab: WindowHandle) {
        self.client.switch_to_window(tab).await.unwrap();
    }

    /// Sets a `name=value` for the site whose page is shown.
    pub(super) async fn set_cookie(&self, pair: &str) {
        let (name, value) = pair.split_once('=').unwrap();
        let url = self.url().await;
        let cookie =
            json!({ "name": name, "value": value, "url": url, "path": "/", "httpOnly": true });
        // Not `Client::add_cookie`: chromedriver refuses the `null` that it sends for no domain.
        self.send("Network.setCookie", cookie).await;
    }

    /// Emulates a screen of this size in CSS pixels and a preference for light or dark pages.
    pub(super) async fn emulate(&self, width: u32, height: u32, is_dark: bool) {
        let is_phone = width < 600;
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.send("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "features": features });
        self.send("Emulation.setEmulatedMedia", media).await;
    }

    /// Returns what the window shows, as a PNG.
    pub(super) async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.unwrap()
    }

    async fn send(&self, method: &'static str, params: Value) {
        let command = DevTools { method, params };
        self.client.issue_cmd(command).await.unwrap();
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // The driver closes the browser with the session. A task would no longer run at the end of
        // a test, so block, which needs `#[tokio::test(flavor = "multi_thread")]`.
        let close = self.client.clone().close();
        let _ = block_in_place(|| Handle::current().block_on(close));
    }
}

/// A command of the Chrome DevTools Protocol, for what WebDriver lacks.
#[derive(Debug)]
struct DevTools {
    method: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base_url: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap();
        base_url.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.method, "params": self.params });
        (Method::POST, Some(body.to_string()))
    }
}

/// A running chromedriver; fantoccini starts none.
struct Driver {
    process: Child,
    /// The directory of the browser's profile.
    files: PathBuf,
}

impl Driver {
    /// Starts chromedriver on a free port and returns it with its URL.
    ///
    /// It exits if the port that it picks for IPv6 is taken for IPv4, so that another start is due.
    fn start(program: &Path) -> (Self, String) {
        let started = (0..20).find_map(|_| Self::start_once(program));
        started.expect("chromedriver finds a free port and prints it")
    }

    fn start_once(program: &Path) -> Option<(Self, String)> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let files = env::temp_dir().join(format!("chromium-{}-{number}", process::id()));
        fs::create_dir_all(&files).unwrap();
        let process = Command::new(program)
            .arg("--port=0")
            .env("TMPDIR", &files)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut driver = Self { process, files };
        let stdout = BufReader::new(driver.process.stdout.take().unwrap());
        let mut ports = stdout.lines().map_while(Result::ok).filter_map(|line| {
            let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = ports.next()?;
        Some((driver, format!("http://127.0.0.1:{port}")))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Processes of the browser may still write to its profile for a moment.
        let is_in_use = |error: io::Error| error.kind() == io::ErrorKind::DirectoryNotEmpty;
        while fs::remove_dir_all(&self.files).is_err_and(is_in_use) {}
    }
}

fn capabilities(settings: Settings, chromium: &Path, avatars: u16) -> Capabilities {
    let hosts = format!(
        "MAP thirdqq.qlogo.cn:443 127.0.0.1:{avatars}, MAP * ~NOTFOUND, \
         EXCLUDE 127.0.0.1, EXCLUDE localhost"
    );
    let language = settings.languages.split(',').next().unwrap();
    let mut options = json!({
        "binary": chromium,
        "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--hide-scrollbars", "--no-proxy-server",
            "--ignore-certificate-errors",
            format!("--lang={language}"), format!("--host-resolver-rules={hosts}"),
        ],
        "prefs": {
            "intl.accept_languages": settings.languages,
            // 1 allows, 2 blocks.
            "profile.default_content_setting_values.cookies": if settings.blocks_cookies { 2 } else { 1 },
        },
    });
    if settings.is_phone {
        options["mobileEmulation"] = json!({
            "deviceMetrics": { "width": 360, "height": 740, "pixelRatio": 2, "mobile": true, "touch": true },
            "clientHints": { "platform": "Android", "mobile": true },
        });
    }
    let strategy = if settings.waits_for_pages {
        "normal"
    } else {
        "none"
    };
    Capabilities::from_iter([
        ("browserName".to_owned(), json!("chrome")),
        ("pageLoadStrategy".to_owned(), json!(strategy)),
        ("goog:chromeOptions".to_owned(), options),
    ])
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.exists());
    if found.is_none() {
        skip(&format!(
            "{name} is not installed (apt-get install chromium chromium-driver)"
        ));
    }
    found
}

/// Prints why a test is skipped. In CI, where no test may be skipped, panics.
pub(super) fn skip(reason: &str) {
    assert!(env::var_os("CI").is_none(), "{reason}");
    eprintln!("SKIPPED: {reason}");
}
