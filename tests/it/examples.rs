//! The example with a users table.

use std::{fs, path::Path};

use http::StatusCode;
use reqwest::{Client, Response};
use sqlx::{Connection, SqliteConnection};

use crate::process::{Running, browser, choose, example, page};

/// The three people of a new mock.
const PEOPLE: [(&str, &str); 3] = [
    ("小明", "C3A5D19E07B24F68913BD0A4E7F2586C"),
    ("企鹅🐧 Penguin", "5E8F20B7C94D13A6F07B6E2D81C3A94F"),
    (
        "&lt;b&gt;小红&lt;/b&gt; &amp; &quot;Co&quot;",
        "90B64EF7A1D2385C4E6F90A7B8D1C23E",
    ),
];

async fn text(browser: &Client, url: &str) -> String {
    page(browser, url).await.text().await.unwrap()
}

/// A whole login; what it ends at.
async fn sign_in(browser: &Client, site: &str, person: usize) -> Response {
    let mock = page(browser, &format!("{site}auth/qq/login")).await;
    choose(browser, mock, person).await
}

async fn post(browser: &Client, url: String, from: &str, body: &'static str) -> Response {
    browser
        .post(url)
        .header("sec-fetch-site", from)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap()
}

#[track_caller]
fn assert_shows(page: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
}

#[tokio::test]
async fn users_in_sqlite_have_an_id_of_their_own_and_are_welcomed_once() {
    let mut running = Running::start("sqlite_users", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    for (visit, (person, id)) in [(0, 1), (2, 2), (0, 1), (2, 2)].into_iter().enumerate() {
        let browser = browser();
        let home = page(&browser, &site).await;
        let policy = home.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(home.headers()["cache-control"], "no-store");
        assert_shows(&home.text().await.unwrap(), &["href=\"/auth/qq/login\""]);

        let end = sign_in(&browser, &site, person).await;
        let path = if visit < 2 { "/welcome" } else { "/" };
        assert_eq!((end.status(), end.url().path()), (StatusCode::OK, path));
        let id = format!("user id {id}<");
        let name = PEOPLE[person].0;
        let home = text(&browser, &site).await;
        assert_shows(&home, &[&id, name, "<img src=\"https://"]);
        post(&browser, format!("{site}auth/qq/logout"), "same-origin", "").await;
        assert!(!text(&browser, &site).await.contains(name));
    }
    let style = page(&browser(), &format!("{site}style.css")).await;
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn users_in_sqlite_are_still_known_after_a_restart_and_refused_once_banned() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.db", std::process::id()));
    let _ = fs::remove_file(&file);
    let url = format!("sqlite:{}", file.display());
    let environment = [("LISTEN", "127.0.0.1:0"), ("DATABASE_URL", &url)];
    let mut running = Running::start("sqlite_users", &environment);
    let site = running.printed("open").await;
    assert_eq!(sign_in(&browser(), &site, 1).await.url().path(), "/welcome");

    drop(running);
    let mut running = Running::start("sqlite_users", &environment);
    let site = running.printed("open").await;
    let (signed_in, other) = (browser(), browser());
    assert_eq!(sign_in(&signed_in, &site, 1).await.url().path(), "/");
    assert_shows(&text(&signed_in, &site).await, &["user id 1<", PEOPLE[1].0]);

    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let banned = sqlx::query("UPDATE users SET banned = TRUE WHERE openid = ?")
        .bind(PEOPLE[1].1)
        .execute(&mut database);
    assert_eq!(banned.await.unwrap().rows_affected(), 1);
    let refused = sign_in(&other, &site, 1).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_shows(&refused.text().await.unwrap(), &["This account is closed."]);
    for browser in [&signed_in, &other] {
        assert!(!text(browser, &site).await.contains("user id"));
    }
    let logins: i64 = sqlx::query_scalar("SELECT logins FROM users")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(logins, 2, "a login that is refused is not written down");
    fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_be_had_ends_it_with_one_line() {
    let environment = [
        ("LISTEN", "127.0.0.1:0"),
        ("DATABASE_URL", "sqlite:/nonexistent/a.db"),
    ];
    let output = example("sqlite_users", &environment)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("DATABASE_URL: "), "{said}");
}
