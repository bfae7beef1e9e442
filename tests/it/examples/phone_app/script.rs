//! The script that plays the phone.

use std::{env, fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Stdio};

use tokio::{io::AsyncWriteExt, process::Command};

use crate::process::{Running, installed};

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/sites/examples/phone_app/phone.sh"
);

/// A run of the script: its folder of temporary files, and a `curl` that fails if an argument
/// contains the token.
struct Script(PathBuf);

impl Script {
    fn new(name: &str, token: &str) -> Option<Self> {
        let curl = installed("curl", "curl")?;
        let folder = env::temp_dir().join(format!("phone-app-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("tmp")).unwrap();
        let wrapper = folder.join("curl");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *{token}*) exit 99 ;; esac\nexec {} \"$@\"\n",
            curl.display()
        );
        fs::write(&wrapper, text).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self(folder))
    }

    /// Returns whether the script succeeded, and what it printed.
    async fn run(&self, arguments: &[&str], input: &str) -> (bool, String) {
        let path = format!("{}:{}", self.0.display(), env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.arg(SCRIPT).args(arguments).env_clear();
        command.env("PATH", path).env("TMPDIR", self.0.join("tmp"));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut script = command.spawn().unwrap();
        let mut stdin = script.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = script.wait_with_output().await.unwrap();
        let left: Vec<_> = fs::read_dir(self.0.join("tmp")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(printed).unwrap())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the site, its URL, and the first token that it prints.
async fn start() -> (Running, String, String) {
    let mut running = Running::start("phone_app", &[("LISTEN", "127.0.0.1:0")]);
    let line = running.printed("token").await;
    let (token, rest) = line.split_once(' ').unwrap();
    assert_eq!(rest, "of 小明 at 1106123456");
    let token = token.to_owned();
    let site = running.printed("open").await;
    (running, site, token)
}

#[tokio::test]
async fn plays_the_phone_from_login_to_sign_out() {
    let (_running, site, token) = start().await;
    let Some(script) = Script::new("plays", &token) else {
        return;
    };
    for (arguments, input) in [
        (vec![site.as_str(), &token], String::new()),
        (vec![&site], format!("{token}\n")),
    ] {
        let (succeeded, printed) = script.run(&arguments, &input).await;
        assert!(succeeded, "{printed}");
        let lines: Vec<_> = printed.lines().collect();
        let expected = [
            ("signed out: 401 ", "\"login_required\""),
            ("sign in: 200 ", "\"app_id\":\"1106123456\""),
            ("the user: 200 ", "\"account\":1,\"app_id\":\"1106123456\""),
            ("a page: 200 ", "<!doctype html>"),
            ("sign out: 204 ", ""),
            ("signed out: 401 ", "\"login_required\""),
        ];
        assert_eq!(lines.len(), expected.len(), "{printed}");
        for (line, (step, body)) in lines.iter().zip(expected) {
            assert!(line.contains(step) && line.contains(body), "{printed}");
        }
        assert!(!printed.contains(&token), "{printed}");
    }
}

#[tokio::test]
async fn fails_at_the_step_that_is_not_as_expected() {
    let (running, site, _) = start().await;
    let garbage = "0123456789ABCDEF0123456789ABCDEF";
    let Some(script) = Script::new("fails", garbage) else {
        return;
    };
    let (succeeded, printed) = script.run(&[&site, garbage], "").await;
    assert!(!succeeded, "{printed}");
    assert!(
        printed.contains("sign in: 400 ") && printed.contains("\"code_rejected\""),
        "{printed}"
    );
    assert!(printed.ends_with("expected 200\n"), "{printed}");
    assert!(!printed.contains(garbage), "{printed}");

    running.stop().await;
    let (succeeded, printed) = script.run(&[&site, garbage], "").await;
    assert!(!succeeded && printed.starts_with("curl: (7)"), "{printed}");
    let (succeeded, printed) = script.run(&[], "").await;
    assert!(!succeeded && printed.starts_with("usage: "), "{printed}");
}
