//! Requests of htmx, which `.ci/htmx.sh` fetches.

use std::{fs, future::ready, path::Path};

use axum::{Router, response::Html, routing::get};
use http::header;

use super::{CHINESE, FIRST, Window, assert_shows, browser::skip, servers::Servers};

/// The page, with the script of this version. Skips the test if it is missing.
fn pages(version: &str) -> Option<Router> {
    let file = format!("../target/htmx/{version}.js");
    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
    let Ok(script) = script else {
        skip("htmx is missing (run .ci/htmx.sh)");
        return None;
    };
    let script = move || ready(([(header::CONTENT_TYPE, "text/javascript")], script));
    let page = get(|| ready(Html(include_str!("htmx.html"))));
    Some(
        Router::new()
            .route("/htmx", page)
            .route("/htmx.js", get(script)),
    )
}

async fn load_sign_in_and_out(servers: Servers, window: Window) {
    let api = &servers.origins.api;
    let page = format!("{api}/htmx?tab=2");
    window.goto(&page).await;
    window.click("#load").await;
    assert_shows(&window.text().await, &["模拟 QQ 登录"]);
    window.click(FIRST).await;
    assert_eq!(window.url().await, page);
    window.tap("#load").await;
    window.wait_for("小明").await;

    window.click("#leave").await;
    assert_eq!(window.url().await, format!("{api}/rendered"));
    assert_shows(&window.text().await, &["user: nobody"]);

    window.goto(&page).await;
    window.click("#boosted").await;
    assert_shows(&window.text().await, &["模拟 QQ 登录"]);
    window.click(FIRST).await;
    assert_eq!(window.url().await, format!("{api}/htmx?tab=3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn htmx_navigates_to_the_login_and_after_the_logout() {
    for version in ["2.0.11", "4.0.1"] {
        let Some(pages) = pages(version) else { return };
        let Some((servers, window)) = Servers::on_ports_with(pages, CHINESE).await else {
            return;
        };
        load_sign_in_and_out(servers, window).await;
    }
}
