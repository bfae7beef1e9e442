//! The example with a users table: ids, bans, and the ends of sessions.

use std::{
    fs,
    path::{Path, PathBuf},
};

use http::StatusCode;
use reqwest::Client;
use sqlx::{Connection, SqliteConnection};
use tokio::net::TcpListener;
use tower_qq_auth::mock::MockQq;

use super::{USERS, assert_shows, post, sign_in, text};
use crate::process::{
    Running, SESSION_KEY, browser, callback_at, choose, example, free_address, page,
    recorded_browser,
};
use crate::site::{APP_ID, APP_KEY};

/// A file for a database, removed at the end of a test.
pub(super) struct DatabaseFile(PathBuf);

impl DatabaseFile {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("{name}-{}.db", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_file(&path);
        Self(path)
    }

    pub(super) fn url(&self) -> String {
        format!("sqlite:{}", self.0.display())
    }
}

impl Drop for DatabaseFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

async fn start() -> (Running, String) {
    let mut running = Running::start("sqlite_users", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    (running, site)
}

/// Returns a browser in which a user is signed in.
async fn signed_in(site: &str, user: usize) -> Client {
    let browser = browser();
    let end = sign_in(&browser, site, user).await;
    assert_eq!(end.status(), StatusCode::OK);
    browser
}

/// Submits a form of the home page, and returns the status of the page at which it ends.
async fn submit(browser: &Client, site: &str, path: &str, form: &'static str) -> StatusCode {
    let end = post(browser, format!("{site}{path}"), "same-origin", form).await;
    end.status()
}

async fn is_signed_in(browser: &Client, site: &str) -> bool {
    text(browser, site).await.contains("user id")
}

#[tokio::test]
async fn users_get_an_id_each_and_are_welcomed_once() {
    let (_running, site) = start().await;
    for (visit, (user, id)) in [(0, 1), (2, 2), (0, 1), (2, 2)].into_iter().enumerate() {
        let browser = browser();
        let home = page(&browser, &site).await;
        let policy = home.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(home.headers()["cache-control"], "no-store");
        assert_shows(&home.text().await.unwrap(), &["href=\"/auth/qq/login\""]);

        let end = sign_in(&browser, &site, user).await;
        let path = if visit < 2 { "/welcome" } else { "/" };
        assert_eq!((end.status(), end.url().path()), (StatusCode::OK, path));
        let id = format!("user id {id}<");
        let name = USERS[user].0;
        let home = text(&browser, &site).await;
        assert_shows(&home, &[&id, name, "<img src=\"https://"]);
        submit(&browser, &site, "auth/qq/logout", "").await;
        assert!(!text(&browser, &site).await.contains(name));
    }
    let style = page(&browser(), &format!("{site}style.css")).await;
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn only_the_first_user_bans_and_the_banned_user_is_signed_out_at_once() {
    let (_running, site) = start().await;
    let admin = signed_in(&site, 0).await;
    let (user, other) = (signed_in(&site, 1).await, signed_in(&site, 1).await);
    assert_shows(&text(&admin, &site).await, &["action=\"/ban\""]);
    assert!(!text(&user, &site).await.contains("/ban"));

    let forbidden = submit(&user, &site, "ban", "id=1").await;
    assert_eq!(forbidden, StatusCode::FORBIDDEN);
    let foreign = post(&admin, format!("{site}ban"), "same-site", "id=2").await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let signed_out = submit(&browser(), &site, "ban", "id=2").await;
    assert_eq!(signed_out, StatusCode::UNAUTHORIZED);
    assert_eq!(
        submit(&admin, &site, "ban", "id=99").await,
        StatusCode::OK,
        "an id without a user"
    );
    for browser in [&admin, &user, &other] {
        assert!(is_signed_in(browser, &site).await);
    }

    assert_eq!(submit(&admin, &site, "ban", "id=2").await, StatusCode::OK);
    for browser in [&user, &other] {
        assert!(!is_signed_in(browser, &site).await);
    }
    assert!(is_signed_in(&admin, &site).await);
    let refused = sign_in(&user, &site, 1).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_shows(&refused.text().await.unwrap(), &["This account is closed."]);
}

#[tokio::test]
async fn signing_out_other_devices_keeps_only_the_new_session_of_this_one() {
    let (_running, site) = start().await;
    let (here, cookies) = recorded_browser();
    sign_in(&here, &site, 0).await;
    let (elsewhere, bystander) = (signed_in(&site, 0).await, signed_in(&site, 1).await);
    let [first] = &cookies.set("qq_session=")[..] else {
        panic!("not one session: {:?}", cookies.set(""));
    };
    let stolen = first.split(';').next().unwrap();
    let thief = async || {
        let home = reqwest::Client::builder().no_proxy().build().unwrap();
        let home = home.get(&site).header("cookie", stolen).send().await;
        home.unwrap().text().await.unwrap()
    };
    assert_shows(&thief().await, &["user id 1<"]);

    submit(&here, &site, "sign-out-elsewhere", "").await;
    assert_shows(&text(&here, &site).await, &["user id 1<"]);
    assert!(!is_signed_in(&elsewhere, &site).await);
    assert!(!thief().await.contains("user id"));
    assert!(is_signed_in(&bystander, &site).await);
}

#[tokio::test]
async fn a_deleted_account_is_signed_out_everywhere_and_its_id_never_returns() {
    let (_running, site) = start().await;
    let (here, elsewhere) = (signed_in(&site, 0).await, signed_in(&site, 0).await);
    assert_shows(&text(&here, &site).await, &["user id 1<"]);
    submit(&here, &site, "delete-account", "").await;
    for browser in [&here, &elsewhere] {
        assert!(!is_signed_in(browser, &site).await);
    }
    assert_eq!(sign_in(&here, &site, 0).await.url().path(), "/welcome");
    assert!(is_signed_in(&here, &site).await);
    assert!(!text(&here, &site).await.contains("user id 1<"));
}

#[tokio::test]
async fn the_table_survives_a_restart_and_a_refused_login_is_not_recorded() {
    let database = DatabaseFile::new("restart");
    let url = database.url();
    let environment = [("LISTEN", "127.0.0.1:0"), ("DATABASE_URL", &url)];
    let mut running = Running::start("sqlite_users", &environment);
    let site = running.printed("open").await;
    assert_eq!(sign_in(&browser(), &site, 1).await.url().path(), "/welcome");

    drop(running);
    let mut running = Running::start("sqlite_users", &environment);
    let site = running.printed("open").await;
    let browser = browser();
    assert_eq!(sign_in(&browser, &site, 1).await.url().path(), "/");
    assert_shows(&text(&browser, &site).await, &["user id 1<", USERS[1].0]);

    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let banned = sqlx::query("UPDATE users SET banned = TRUE WHERE openid = ?")
        .bind(USERS[1].1)
        .execute(&mut database);
    assert_eq!(banned.await.unwrap().rows_affected(), 1);
    let refused = sign_in(&browser, &site, 1).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let logins: i64 = sqlx::query_scalar("SELECT logins FROM users")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(logins, 2, "a refused login is not recorded");
}

/// The list of revocations is in memory, but the session keys of a real site outlive the process.
#[tokio::test]
async fn a_banned_user_stays_signed_out_after_a_restart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free_address();
    let (listen, callback) = (address.to_string(), callback_at(address));
    let qq_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(MockQq::new(APP_ID, APP_KEY, &callback).serve(listener));
    let database = DatabaseFile::new("banned");
    let url = database.url();
    let environment = [
        ("LISTEN", listen.as_str()),
        ("DATABASE_URL", &url),
        ("QQ_APP_ID", APP_ID),
        ("QQ_APP_KEY", APP_KEY),
        ("QQ_REDIRECT_URI", &callback),
        ("QQ_SESSION_KEY", SESSION_KEY),
        ("QQ_BASE_URL", &qq_url),
    ];
    let mut running = Running::start("sqlite_users", &environment);
    running.printed("callback").await;
    let site = format!("http://{address}/");
    let [admin, user] = [browser(), browser()];
    for (number, browser) in [&admin, &user].into_iter().enumerate() {
        let login = page(browser, &format!("{site}auth/qq/login")).await;
        choose(browser, login, number).await;
        assert!(is_signed_in(browser, &site).await);
    }
    submit(&admin, &site, "ban", "id=2").await;

    running.stop().await;
    let mut running = Running::start("sqlite_users", &environment);
    running.printed("callback").await;
    assert!(is_signed_in(&admin, &site).await);
    assert!(!is_signed_in(&user, &site).await);
}

#[tokio::test]
async fn exits_with_one_line_if_the_database_is_unavailable() {
    let environment = [
        ("LISTEN", "127.0.0.1:0"),
        ("DATABASE_URL", "sqlite:/nonexistent/a.db"),
    ];
    let output = example("sqlite_users", &environment)
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("Error: \"DATABASE_URL: "), "{stderr}");
}

/// A table in memory gives the same ids again after a restart, but the sessions of a real site go on.
#[tokio::test]
async fn a_real_site_needs_a_database_that_lasts() {
    let callback = callback_at(free_address());
    let environment = [
        ("LISTEN", "127.0.0.1:0"),
        ("QQ_APP_ID", APP_ID),
        ("QQ_APP_KEY", APP_KEY),
        ("QQ_REDIRECT_URI", &callback),
        ("QQ_SESSION_KEY", SESSION_KEY),
    ];
    for name in ["sqlite_users", "phone_app"] {
        let output = example(name, &environment).output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(stderr.contains("DATABASE_URL is not set"), "{stderr}");
    }
}
