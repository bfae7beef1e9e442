//! The single-page app: the requests of its script, sent by a browser that runs no script.

use http::StatusCode;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::process::{Running, browser, choose, page};

/// Sends a request like `fetch` does.
async fn fetch(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request
        .header("accept", "*/*")
        .header("sec-fetch-mode", "cors")
        .header("sec-fetch-site", "same-origin")
        .send()
        .await
        .unwrap();
    let status = response.status();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn me(browser: &Client, site: &str) -> (StatusCode, Value) {
    fetch(browser.get(format!("{site}api/me"))).await
}

async fn save(browser: &Client, site: &str) -> (StatusCode, Value) {
    let note = browser.post(format!("{site}api/notes"));
    let note = note.header("content-type", "application/json");
    fetch(note.body(r#"{"text":"a note"}"#)).await
}

/// Follows the link that the script makes from `login_url`.
async fn sign_in(browser: &Client, site: &str, problem: &Value) -> Response {
    let login = problem["login_url"].as_str().unwrap();
    let login = format!(
        "{}{login}?return_to=%2Fnotes%3Fpage%3D2",
        site.trim_end_matches('/')
    );
    choose(browser, page(browser, &login).await, 0).await
}

#[tokio::test]
async fn the_api_names_the_login_url_and_the_login_returns_to_the_page() {
    let mut running = Running::start("spa", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    let browser = browser();
    let (status, problem) = me(&browser, &site).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let end = sign_in(&browser, &site, &problem).await;
    assert_eq!(end.url().as_str(), format!("{site}notes?page=2"));
    assert!(end.text().await.unwrap().contains("src=\"/app.js\""));
    let (status, user) = me(&browser, &site).await;
    assert_eq!(
        (status, &user["nickname"]),
        (StatusCode::OK, &json!("小明"))
    );
    assert_eq!(
        save(&browser, &site).await,
        (StatusCode::OK, json!({"text": "a note"}))
    );

    // The session ends in another tab.
    let logout = browser.post(format!("{site}auth/qq/logout"));
    fetch(logout).await;
    let (status, problem) = save(&browser, &site).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    sign_in(&browser, &site, &problem).await;
    assert_eq!(save(&browser, &site).await.0, StatusCode::OK);
}

#[tokio::test]
async fn every_path_outside_the_api_is_the_page_with_only_its_own_script() {
    let mut running = Running::start("spa", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    let browser = browser();
    let home = page(&browser, &site).await;
    let policy = home.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'; script-src 'self'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    let home = home.text().await.unwrap();
    assert!(!home.contains("style=") && !home.contains(" on") && !home.contains("<script>"));
    let elsewhere = page(&browser, &format!("{site}any/where")).await;
    assert_eq!(elsewhere.text().await.unwrap(), home);
    for (file, kind) in [("app.js", "text/javascript"), ("style.css", "text/css")] {
        assert!(home.contains(file));
        let file = page(&browser, &format!("{site}{file}")).await;
        let found = file.headers()["content-type"].to_str().unwrap();
        assert!(found.starts_with(kind), "{found}");
    }
    let (status, body) = fetch(browser.get(format!("{site}api/nothing"))).await;
    assert_eq!((status, body), (StatusCode::NOT_FOUND, Value::Null));
}
