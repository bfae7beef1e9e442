//! A real Chromium, driven through chromedriver: WebDriver, which is JSON over HTTP.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::avatars;

/// How a browser differs from any other.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// What it sends as `Accept-Language`.
    pub(super) languages: &'static str,
    pub(super) is_phone: bool,
    pub(super) blocks_cookies: bool,
}

pub(super) const CHINESE: Settings = Settings {
    languages: "zh-CN,zh",
    is_phone: false,
    blocks_cookies: false,
};

pub(super) const ENGLISH: Settings = Settings {
    languages: "en-US,en",
    ..CHINESE
};

/// A browser of our own with its driver, on ports that were free. Both end with it.
pub(super) struct Window {
    driver: Child,
    /// What the browser writes.
    files: PathBuf,
    /// Host and port of the driver.
    address: String,
    session: String,
    client: reqwest::Client,
}

impl Window {
    /// `None`, loudly, where it is not installed; where it must be, a failure.
    pub(super) async fn open(settings: Settings) -> Option<Self> {
        let (chromium, driver) = (installed("chromium")?, installed("chromedriver")?);
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let files = env::temp_dir().join(format!("chromium-{}-{number}", process::id()));
        fs::create_dir_all(&files).unwrap();
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .env("TMPDIR", &files)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = port(&mut driver);
        let mut window = Self {
            driver,
            files,
            address: format!("127.0.0.1:{port}"),
            session: String::new(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        let capabilities = capabilities(settings, &chromium, avatars::serve().await);
        let begun = window.ask(Method::POST, "/session", capabilities).await;
        window.session = begun["sessionId"].as_str().unwrap().to_owned();
        Some(window)
    }

    pub(super) async fn goto(&self, url: &str) {
        self.command("/url", json!({ "url": url })).await;
    }

    pub(super) async fn back(&self) {
        self.command("/back", json!({})).await;
    }

    pub(super) async fn reload(&self) {
        self.command("/refresh", json!({})).await;
    }

    pub(super) async fn url(&self) -> String {
        text_of(self.known("/url").await)
    }

    /// All that can be read on the page.
    pub(super) async fn text(&self) -> String {
        text_of(self.run("return document.body.innerText").await)
    }

    /// Clicks what this selector finds, as a person does, and waits for the page that it leads to.
    pub(super) async fn click(&self, selector: &str) {
        let found = json!({ "using": "css selector", "value": selector });
        let found = self.command("/element", found).await;
        let id = found.as_object().unwrap().values().next().unwrap();
        let element = self.path(&format!("/element/{}", id.as_str().unwrap()));
        let click = format!("{element}/click");
        self.ask(Method::POST, &click, json!({})).await;
        let is_there = format!("{element}/name");
        let gone = async {
            while let (StatusCode::OK, _) = self.answer(Method::GET, &is_there, Value::Null).await {
            }
        };
        let gone = timeout(Duration::from_secs(20), gone).await;
        gone.unwrap_or_else(|_| panic!("{selector} leads nowhere"));
    }

    /// Presses one key and lets it go.
    pub(super) async fn press(&self, key: char) {
        let actions = [
            json!({ "type": "keyDown", "value": key }),
            json!({ "type": "keyUp", "value": key }),
        ];
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.command("/actions", json!({ "actions": [keyboard] }))
            .await;
    }

    /// What a script gives. It is not the page's own, so that no policy of the page forbids it.
    pub(super) async fn run(&self, script: &str) -> Value {
        let script = json!({ "script": script, "args": [] });
        self.command("/execute/sync", script).await
    }

    /// The tab that is looked at.
    pub(super) async fn tab(&self) -> Value {
        self.known("/window").await
    }

    /// Opens another tab and looks at it.
    pub(super) async fn open_tab(&self) {
        let opened = self.command("/window/new", json!({ "type": "tab" })).await;
        self.look_at(&opened["handle"]).await;
    }

    pub(super) async fn look_at(&self, tab: &Value) {
        self.command("/window", json!({ "handle": tab })).await;
    }

    /// Sets a `name=value` for the site whose page is shown.
    pub(super) async fn set_cookie(&self, pair: &str) {
        let (name, value) = pair.split_once('=').unwrap();
        let cookie = json!({ "name": name, "value": value, "path": "/", "httpOnly": true });
        self.command("/cookie", json!({ "cookie": cookie })).await;
    }

    /// How wide the window is, in CSS pixels, and whether the person likes it dark.
    pub(super) async fn look(&self, width: u32, height: u32, is_dark: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.cdp(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    /// What is shown, as a PNG.
    pub(super) async fn picture(&self) -> Vec<u8> {
        let picture = text_of(self.known("/screenshot").await);
        BASE64_STANDARD.decode(picture).unwrap()
    }

    async fn cdp(&self, command: &str, parameters: Value) {
        let command = json!({ "cmd": command, "params": parameters });
        self.command("/goog/cdp/execute", command).await;
    }

    async fn known(&self, path: &str) -> Value {
        self.ask(Method::GET, &self.path(path), Value::Null).await
    }

    async fn command(&self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, &self.path(path), body).await
    }

    fn path(&self, path: &str) -> String {
        format!("/session/{}{path}", self.session)
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, value) = self.answer(method, path, body).await;
        assert!(status.is_success(), "{path}: {value}");
        value
    }

    async fn answer(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method, url);
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let mut answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        (status, answer["value"].take())
    }
}

/// The browser is the driver's to end, so it has to be asked, also by a test that failed.
impl Drop for Window {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(&self.address) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let (path, host) = (self.path(""), &self.address);
            let _ = write!(
                stream,
                "DELETE {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.read(&mut [0; 64]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = fs::remove_dir_all(&self.files);
    }
}

fn capabilities(settings: Settings, chromium: &Path, avatars: u16) -> Value {
    let hosts =
        format!("MAP thirdqq.qlogo.cn:443 127.0.0.1:{avatars}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    let language = settings.languages.split(',').next().unwrap();
    let mut options = json!({
        "binary": chromium,
        "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--hide-scrollbars", "--no-proxy-server", "--ignore-certificate-errors",
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
    json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } })
}

fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|program| program.exists());
    if found.is_none() {
        missing(&format!(
            "{program} is not installed (apt-get install chromium chromium-driver)"
        ));
    }
    found
}

/// Says what a test is skipped for; where everything has to be there, fails.
pub(super) fn missing(what: &str) {
    assert!(env::var_os("CI").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
}

/// Where the driver says that it listens.
fn port(driver: &mut Child) -> u16 {
    let said = BufReader::new(driver.stdout.take().unwrap());
    let mut ports = said.lines().map_while(Result::ok).filter_map(|line| {
        let port = line.strip_prefix("ChromeDriver was started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    ports.next().expect("chromedriver says where it listens")
}

fn text_of(value: Value) -> String {
    value.as_str().unwrap().to_owned()
}
