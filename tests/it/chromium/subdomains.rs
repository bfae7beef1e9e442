//! Origins by https on names: what a subdomain that the API does not trust, and a trusted origin of
//! another site cannot do, with third-party cookies allowed and blocked.

use serde_json::{Value, json};

use super::{
    CHINESE, FIRST, Settings, Window, assert_shows,
    popup::open_popup,
    servers::{Servers, fetch},
};
use crate::log::Log;

const POST: &str = "{ method: 'POST' }";
const JSON: &str = "{ headers: { Accept: 'application/json' } }";

const BLOCKING: Settings = Settings {
    blocks_third_party_cookies: true,
    ..CHINESE
};

async fn sign_in_by_popup(servers: &Servers, window: &Window) {
    let opener = open_popup(window, &servers.origins.page).await;
    window.click_by_script(FIRST).await;
    window.wait_for_tabs(1).await;
    window.switch_to(opener).await;
    window.wait_for("outcomes: ok.").await;
    assert_shows(&window.text().await, &["user: 小明"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subdomain_works_with_third_party_cookies_blocked() {
    let Some((servers, window)) = Servers::on_subdomains(BLOCKING).await else {
        return;
    };
    let origins = &servers.origins;
    sign_in_by_popup(&servers, &window).await;
    assert_eq!(window.cookie_names().await, [""; 0], "of the API only");
    let logout = format!("{}/auth/qq/logout", origins.api);
    assert_eq!(fetch(&window, &logout, POST).await[0], 204);
    window.reload().await;
    window.wait_for("user: nobody").await;
    window.click("#sign-in").await;
    window.click(FIRST).await;
    window.wait_for("user: 小明").await;
    window.goto(&origins.api).await;
    assert_eq!(window.cookie_names().await, ["__Host-qq_session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_origin_of_another_site_gets_a_401_and_a_warning_that_says_why() {
    for settings in [CHINESE, BLOCKING] {
        let log = Log::start();
        let Some((servers, window)) = Servers::on_subdomains(settings).await else {
            return;
        };
        let origins = &servers.origins;
        sign_in_by_popup(&servers, &window).await;
        assert!(!log.text().contains("belongs to another site"));
        window.goto(&origins.elsewhere).await;
        window.wait_for("user: nobody").await;
        // The session is `SameSite=Lax`, so it is not sent even by browsers that send others.
        let third_party = format!("{}/third-party", origins.api);
        fetch(&window, &third_party, "{}").await;
        let cookies = fetch(&window, &third_party, "{}").await;
        let sent = if settings.blocks_third_party_cookies {
            ""
        } else {
            "third-party=1"
        };
        assert_eq!(cookies, json!([200, sent]));
        let refused = fetch(&window, &format!("{}/me", origins.api), "{}").await;
        assert_eq!(refused[0], 401);
        let warnings = log.warnings();
        let explained = |line: &String| line.contains("a trusted origin belongs to another site");
        assert!(warnings.iter().any(explained), "{warnings:?}");
        let logout = format!("{}/auth/qq/logout", origins.api);
        assert_eq!(fetch(&window, &logout, POST).await[0], 403);
        let login = format!("{}/auth/qq/login", origins.api);
        assert_eq!(fetch(&window, &login, JSON).await[0], 403);
        window.goto(&origins.page).await;
        window.wait_for("user: 小明").await;
        // A navigation leads to the login and back, but the user is signed in at the API only.
        window.goto(&origins.elsewhere).await;
        window.click("#sign-in").await;
        window.click(FIRST).await;
        window.wait_for("user: nobody").await;
        assert_eq!(window.url().await, format!("{}/", origins.elsewhere));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subdomain_that_is_not_trusted_can_neither_act_nor_read() {
    let Some((servers, window)) = Servers::on_subdomains(CHINESE).await else {
        return;
    };
    let origins = &servers.origins;
    let api = &origins.api;
    sign_in_by_popup(&servers, &window).await;
    window.goto(&origins.stranger).await;
    let start = format!("{api}/auth/qq/login");
    let bind = format!("{start}?intent=bind");
    for (url, options) in [
        (format!("{api}/whoami"), "{}"),
        (format!("{api}/me"), "{}"),
        (start.clone(), JSON),
        (bind.clone(), JSON),
        (format!("{api}/auth/qq/logout"), POST),
    ] {
        assert_eq!(fetch(&window, &url, options).await, Value::Null, "{url}");
        // Sent without permission to read it.
        let blindly = format!("{{ mode: 'no-cors', ...{options} }}");
        assert_eq!(
            fetch(&window, &url, &blindly).await,
            json!([0, ""]),
            "{url}"
        );
    }
    // A cookie for all subdomains does not get in the way of one with `__Host-`.
    let plant = "for (const name of ['__Host-qq_session', 'qq_session', '__host-qq_session'])
        document.cookie = `${name}=planted; Domain=site.test; Path=/; Secure`;
        return document.cookie";
    assert_eq!(window.run(plant).await, "qq_session=planted");
    // A form and a link need no permission.
    let form = format!(
        "const form = document.createElement('form'); form.method = 'post';
        form.action = '{api}/auth/qq/logout'; document.body.append(form); form.submit()"
    );
    window.run(&form).await;
    window.wait_for("请求未执行").await;
    window.goto(&origins.stranger).await;
    let link = format!(
        "const link = document.createElement('a'); link.id = 'bind'; link.textContent = 'bind';
        link.href = '{bind}'; document.body.append(link)"
    );
    window.run(&link).await;
    window.click("#bind").await;
    assert_shows(&window.text().await, &["操作未完成"]);
    window.goto(&origins.page).await;
    window.wait_for("user: 小明, no account").await;
    window.goto(api).await;
    let mut cookies = window.cookie_names().await;
    cookies.sort();
    assert_eq!(cookies, ["__Host-qq_session", "qq_session"], "and no login");
}
