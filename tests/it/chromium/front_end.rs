//! A front end on another origin than its API, and pages out of the browser's memory.

use serde_json::{Value, json};

use super::{
    CHINESE, FIRST, Window, assert_shows,
    servers::{Servers, fetch},
};

const SIGN_IN: &str = "#sign-in";
const POST: &str = "{ method: 'POST' }";
const JSON: &str = "{ headers: { Accept: 'application/json' } }";

/// Signs in as the first user and waits until the page shows the name.
async fn sign_in(window: &Window) {
    window.click(SIGN_IN).await;
    assert_shows(&window.text().await, &["模拟 QQ 登录"]);
    window.click(FIRST).await;
    window.wait_for("user: 小明").await;
}

/// Starts a login with an intent as JSON, from a script of the page.
async fn start_bind(window: &Window, servers: &Servers) -> Value {
    let (api, page) = (&servers.origins.api, &servers.origins.page);
    let url = format!("{api}/auth/qq/login?intent=bind&return_to={page}/");
    fetch(window, &url, JSON).await
}

async fn signs_in_asks_binds_and_signs_out(servers: Servers, window: Window) {
    let (api, page) = (&servers.origins.api, &servers.origins.page);
    let here = format!("{page}/?tab=2#notes");
    window.goto(&here).await;
    window.wait_for("user: nobody").await;
    let refused = fetch(&window, &format!("{api}/me"), "{}").await;
    assert_eq!(refused[0], 401);
    let problem: Value = serde_json::from_str(refused[1].as_str().unwrap()).unwrap();
    assert_eq!(problem["login_url"], format!("{api}/auth/qq/login"));

    sign_in(&window).await;
    assert_eq!(window.url().await, here);
    let me = fetch(&window, &format!("{api}/me"), "{}").await;
    assert_eq!(me, json!([200, "小明"]));
    let cookies = window.run("return document.cookie").await;
    assert_eq!(cookies, "", "scripts cannot read the session");

    let start = start_bind(&window, &servers).await;
    assert_eq!(start[0], 200, "{start}");
    let start: Value = serde_json::from_str(start[1].as_str().unwrap()).unwrap();
    window.goto(start["authorize_url"].as_str().unwrap()).await;
    window.click(FIRST).await;
    window.wait_for("user: 小明, bind").await;
    assert_eq!(window.url().await, format!("{page}/"));
    window.click("#bind").await;
    assert_shows(&window.text().await, &["操作未完成"]);

    window.goto(page).await;
    let sign_out = fetch(&window, &format!("{api}/auth/qq/logout"), POST).await;
    assert_eq!(sign_out, json!([204, ""]));
    window.reload().await;
    window.wait_for("user: nobody").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_on_another_port_signs_in_asks_binds_and_signs_out() {
    if let Some((servers, window)) = Servers::on_ports(CHINESE).await {
        signs_in_asks_binds_and_signs_out(servers, window).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_on_another_subdomain_signs_in_asks_binds_and_signs_out() {
    if let Some((servers, window)) = Servers::on_subdomains(CHINESE).await {
        signs_in_asks_binds_and_signs_out(servers, window).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn back_after_the_sign_out_shows_no_user() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let (api, page) = (&servers.origins.api, &servers.origins.page);
    window.goto(page).await;
    sign_in(&window).await;
    window.goto(&format!("{page}/isolated")).await;
    let sign_out = fetch(&window, &format!("{api}/auth/qq/logout"), POST).await;
    assert_eq!(sign_out[0], 204);
    window.back().await;
    window.wait_for("user: nobody").await;
    let title = window.run("return document.title").await;
    assert_eq!(title, "restored", "from memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn back_after_the_sign_out_shows_no_user_on_a_rendered_page_that_forbids_storage() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let api = &servers.origins.api;
    // A page that listens to this event is not kept in memory, but may be in the cache.
    for prepare in ["", "addEventListener('unload', () => {})"] {
        window.goto(api).await;
        sign_in(&window).await;
        window.goto(&format!("{api}/rendered")).await;
        assert_shows(&window.text().await, &["user: 小明"]);
        window.run(prepare).await;
        window.click("form button").await;
        assert_eq!(window.url().await, format!("{api}/"));
        window.wait_for("user: nobody").await;
        window.back().await;
        assert_eq!(window.url().await, format!("{api}/rendered"));
        assert_shows(&window.text().await, &["user: nobody"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn back_after_the_login_leads_to_qq_and_then_to_the_home_page_of_the_api() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let page = &servers.origins.page;
    window.goto(page).await;
    sign_in(&window).await;
    window.back().await;
    window.wait_for("模拟 QQ 登录").await;
    window.click(FIRST).await;
    assert_eq!(window.url().await, format!("{}/", servers.origins.api));
    window.goto(page).await;
    window.wait_for("user: 小明").await;
}
