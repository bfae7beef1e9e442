//! The systemd unit and the image in `docs/deploy`: their settings start an example.

use std::{
    env, fs,
    path::PathBuf,
    process::{self, Command, Output},
};

use crate::{
    process::{Running, SESSION_KEY, example, installed, replace},
    site::APP_KEY,
};

const UNIT: &str = include_str!("../../docs/deploy/qq-site.service");
const DOCKERFILE: &str = include_str!("../../docs/deploy/Dockerfile");

/// A new folder, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("tower-qq-auth-{name}-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, file: &str, content: &str) -> PathBuf {
        let path = self.0.join(file);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs `systemd-analyze` on the unit, with `true` as its program.
fn analyze(unit: &str, arguments: &[&str]) -> Option<Output> {
    let program = installed("systemd-analyze", "systemd")?;
    let folder = Folder::new(arguments[0]);
    let unit = replace(unit, "/usr/local/bin/qq-site", "/usr/bin/true");
    let file = folder.write("qq-site.service", &unit);
    let output = Command::new(program).args(arguments).arg(file).output();
    Some(output.unwrap())
}

#[test]
fn systemd_accepts_the_unit_and_finds_little_to_harden() {
    let Some(verified) = analyze(UNIT, &["verify"]) else {
        return;
    };
    // An unknown setting is a warning only.
    assert!(
        verified.status.success() && verified.stderr.is_empty(),
        "{verified:?}"
    );
    // In tenths, of 100.
    let hardened = ["security", "--offline=true", "--threshold=15"];
    let rated = analyze(UNIT, &hardened).unwrap();
    assert!(rated.status.success(), "{rated:?}");
}

#[tokio::test]
async fn the_unit_starts_a_site_with_its_credentials() {
    let folder = Folder::new("credentials");
    // An editor or `echo` ends them with a line feed.
    for (name, key) in [("app-key", APP_KEY), ("session-key", SESSION_KEY)] {
        let source = format!("LoadCredential={name}:/etc/qq-site/{name}\n");
        assert!(UNIT.contains(&source), "{source}");
        folder.write(name, &format!("{key}\n"));
    }
    let unit = replace(UNIT, "%d/", &format!("{}/", folder.0.display()));
    let unit = replace(&unit, "127.0.0.1:3000", "127.0.0.1:0");
    let settings = unit.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("Environment=")?.split_once('=')?;
        Some((name, value))
    });
    let mut site = Running::start("quickstart", &settings.collect::<Vec<_>>());
    let callback = site.printed("callback").await;
    assert_eq!(callback, "https://www.example.com/auth/qq/callback");
}

#[tokio::test]
async fn the_image_starts_a_site_with_its_secrets() {
    let folder = Folder::new("secrets");
    folder.write("qq_app_key", APP_KEY);
    folder.write("qq_session_key", SESSION_KEY);
    let file = replace(DOCKERFILE, "/run/secrets", folder.0.to_str().unwrap());
    let file = replace(&file, "0.0.0.0:3000", "0.0.0.0:0");
    let (_, settings) = file.split_once("\nENV ").unwrap();
    let (settings, _) = settings.split_once("\nEXPOSE").unwrap();
    let mut settings: Vec<_> = settings
        .split_whitespace()
        .filter_map(|setting| setting.split_once('='))
        .collect();
    assert_eq!(settings.len(), 4, "{settings:?}");
    settings.extend([
        ("QQ_APP_ID", "101905280"),
        (
            "QQ_REDIRECT_URI",
            "https://www.example.com/auth/qq/callback",
        ),
    ]);
    let (_, name) = DOCKERFILE.split_once("--example ").unwrap();
    let (name, _) = name.split_once(' ').unwrap();
    let mut site = Running::start(name, &settings);
    assert!(site.printed("listening").await.starts_with("0.0.0.0:"));

    // The mock would let anyone in, so without secrets the image starts no site.
    let refused = example(name, &settings[..2]).output().await.unwrap();
    assert!(!refused.status.success(), "{refused:?}");
}
