//! Processes of Chromium and chromedriver.

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use fantoccini::wd::Capabilities;
use serde_json::json;

/// The ways in which browsers differ from each other.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// The languages in `Accept-Language`.
    pub(super) languages: &'static str,
    pub(super) is_phone: bool,
    pub(super) blocks_cookies: bool,
    pub(super) blocks_third_party_cookies: bool,
    pub(super) blocks_popups: bool,
    /// The port of 127.0.0.1 that serves all hosts below `.test`.
    pub(super) https_port: Option<u16>,
    /// Commands wait until the page has loaded.
    pub(super) waits_for_pages: bool,
}

pub(super) const CHINESE: Settings = Settings {
    languages: "zh-CN,zh",
    is_phone: false,
    blocks_cookies: false,
    blocks_third_party_cookies: false,
    blocks_popups: false,
    https_port: None,
    waits_for_pages: true,
};

pub(super) const ENGLISH: Settings = Settings {
    languages: "en-US,en",
    ..CHINESE
};

/// A running chromedriver; fantoccini starts none.
pub(super) struct Driver {
    process: Child,
    /// The directory of the browser's profile.
    files: PathBuf,
}

impl Driver {
    /// Starts chromedriver on a free port and returns it with its URL.
    ///
    /// It exits if the port that it picks for IPv6 is taken for IPv4, so that another start is due.
    pub(super) fn start(program: &Path) -> (Self, String) {
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

pub(super) fn capabilities(settings: Settings, chromium: &Path, avatars: u16) -> Capabilities {
    let sites = settings
        .https_port
        .map_or_else(String::new, |port| format!("MAP *.test 127.0.0.1:{port}, "));
    let hosts = format!(
        "{sites}MAP thirdqq.qlogo.cn:443 127.0.0.1:{avatars}, MAP * ~NOTFOUND, \
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
            // 0 allows, 1 blocks those of third parties.
            "profile.cookie_controls_mode": u8::from(settings.blocks_third_party_cookies),
        },
    });
    if settings.blocks_popups {
        // chromedriver allows all.
        options["excludeSwitches"] = json!(["disable-popup-blocking"]);
    }
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

pub(super) fn find_program(name: &str) -> Option<PathBuf> {
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
