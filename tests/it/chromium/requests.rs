//! Requests that a browser repeats or makes by itself: reloads, history, service workers,
//! prefetches and images.

use serde_json::json;
use tower_qq_auth::mock::Endpoint;

use super::{
    CHINESE, FIRST, SIGN_IN, Settings, Window, assert_shows,
    own_site::{OwnSite, Visit},
};

const CALLBACK: &str = "/auth/qq/callback";
const LOGIN: &str = "/auth/qq/login";
/// Chooses the first user on QQ's page, and empties it, so that it is not taken for the next page.
const CHOOSE: &str =
    "document.querySelector('li:nth-child(1) a').click(); document.body.textContent = ''";

/// For tests that act while a page loads.
const IMPATIENT: Settings = Settings {
    waits_for_pages: false,
    ..CHINESE
};

/// Opens a window and a site, or skips the test if the browser is not installed.
async fn open(settings: Settings) -> Option<(OwnSite, Window)> {
    let window = Window::open(settings).await?;
    Some((OwnSite::start().await, window))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_worker_that_fetches_every_page_does_not_disturb_a_login() {
    let Some((site, window)) = open(CHINESE).await else {
        return;
    };
    window.goto(&site.url).await;
    let register = "const worker = navigator.serviceWorker;
        const controls = new Promise(controls => worker.oncontrollerchange = controls);
        await worker.register('/worker.js'); await controls";
    window
        .run(&format!("return (async () => {{ {register} }})()"))
        .await;
    let me = format!("{}me", site.url);
    window.goto(&me).await;
    assert_shows(&window.text().await, &["模拟 QQ 登录"]);
    window.click(FIRST).await;
    assert_eq!(window.url().await, me);
    assert_shows(&window.text().await, &["account of 小明"]);
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
    for path in ["/me", LOGIN, CALLBACK] {
        let by_worker = |visit: &Visit| {
            let modes = ["sec-fetch-mode", "sec-fetch-dest"].map(|name| visit.header(name));
            modes == ["navigate", "empty"]
        };
        let visits = site.visits(path);
        assert!(visits.iter().all(by_worker), "{path}: {visits:?}");
        assert!(!visits.is_empty());
    }
}

/// Opens QQ's page in a browser that waits for no page. From then on QQ does not answer the site.
async fn open_slow() -> Option<(OwnSite, Window)> {
    let (site, window) = open(IMPATIENT).await?;
    window.goto(&format!("{}me", site.url)).await;
    window.wait_for("模拟 QQ 登录").await;
    site.set_qq_answers(false);
    Some((site, window))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_loads_the_callback_again_joins_the_login() {
    for is_reload in [true, false] {
        let Some((site, window)) = open_slow().await else {
            return;
        };
        // QQ's app opens the callback in a tab of its own. In another tab, a reload loads QQ's
        // page.
        let callback = site.qq.approve(&window.url().await).unwrap();
        let open = format!("window.tab = window.open('{callback}')");
        window.run(&open).await;
        site.wait_for_visits(CALLBACK, 1).await;
        if is_reload {
            window.switch_to_new_tab().await;
            window.reload().await;
            site.wait_for_visits(CALLBACK, 2).await;
        } else {
            let again = format!("window.tab.location.href = '{callback}'");
            window.run(&again).await;
            site.wait_for_visits(CALLBACK, 2).await;
            window.switch_to_new_tab().await;
        }
        site.set_qq_answers(true);
        window.wait_for("account of 小明").await;
        assert_eq!(window.url().await, format!("{}me", site.url));
        assert_eq!(site.qq.calls(Endpoint::Token), 1, "is_reload: {is_reload}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_leads_back_to_qq_ends_with_a_button_that_works() {
    let Some((site, window)) = open_slow().await else {
        return;
    };
    window.run(CHOOSE).await;
    site.wait_for_visits(CALLBACK, 1).await;
    window.reload().await;
    window.wait_for("模拟 QQ 登录").await;
    window.run(CHOOSE).await;
    site.set_qq_answers(true);
    window.wait_for("登录链接已使用").await;
    window
        .run(&format!("document.querySelector('{SIGN_IN}').click()"))
        .await;
    window.wait_for("模拟 QQ 登录").await;
    window.run(CHOOSE).await;
    window.wait_for("account of 小明").await;
    assert_eq!(window.url().await, format!("{}me", site.url));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_login_back_and_the_callback_of_the_history_end_at_home() {
    let Some((site, window)) = open(CHINESE).await else {
        return;
    };
    window.goto(&format!("{}me", site.url)).await;
    window.click(FIRST).await;
    assert_shows(&window.text().await, &["account of 小明"]);
    window.back().await;
    assert_shows(&window.text().await, &["模拟 QQ 登录"]);
    window.goto(&site.callback()).await;
    assert_eq!(window.url().await, site.url);
    assert_shows(&window.text().await, &["home of 小明"]);
    // QQ's page leads to the finished login with a code of its own.
    window.back().await;
    window.click(FIRST).await;
    assert_eq!(window.url().await, site.url);
    assert_shows(&window.text().await, &["home of 小明"]);
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_speculation_rules_load_early_still_leads_to_qq_on_the_click() {
    let Some(window) = Window::open(CHINESE).await else {
        return;
    };
    for rule in ["prefetch", "prerender"] {
        for path in [LOGIN, "/me"] {
            let site = OwnSite::start().await;
            window.goto(&site.url).await;
            let rules = json!({ rule: [{ "urls": [path], "eagerness": "immediate" }] });
            let add = format!(
                "const script = document.createElement('script'); script.type = 'speculationrules';
                script.textContent = JSON.stringify({rules}); document.body.append(script)"
            );
            window.run(&add).await;
            site.wait_for_visits(path, 1).await;
            window.click(&format!("a[href='{path}']")).await;
            assert_shows(&window.text().await, &["模拟 QQ 登录"]);
            let visits = site.visits(path);
            let seen = visits.iter().map(|visit| {
                let is_early = visit.header("sec-purpose").starts_with("prefetch");
                (is_early, visit.status.unwrap().as_u16())
            });
            assert!(seen.eq([(true, 403), (false, 303)]), "{rule}: {visits:?}");
            window.click(FIRST).await;
            assert_shows(&window.text().await, &["of 小明"]);
            window.delete_cookies().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_the_login_path_leave_no_cookies() {
    let Some((site, window)) = open(CHINESE).await else {
        return;
    };
    window.goto(&site.url).await;
    let add = format!(
        "return Promise.all(Array.from({{ length: 12 }}, (_, number) => new Promise(ended => {{
            const image = document.createElement('img'); image.onload = image.onerror = ended;
            image.src = '{LOGIN}?return_to=/' + 'a'.repeat(2000) + number;
            document.body.append(image);
        }}))).then(ended => ended.map(event => event.type))"
    );
    assert_eq!(window.run(&add).await, json!(vec!["error"; 12]));
    let visits = site.visits(LOGIN);
    assert_eq!(visits.len(), 12);
    for visit in &visits {
        assert_eq!(visit.header("sec-fetch-dest"), "image", "{visit:?}");
        assert_eq!(visit.status.unwrap(), 403, "{visit:?}");
    }
    assert_eq!(window.cookie_names().await, [""; 0]);

    window.goto(&format!("{}me", site.url)).await;
    window.click(FIRST).await;
    assert_shows(&window.text().await, &["account of 小明"]);
    assert_eq!(window.cookie_names().await, ["qq_session"]);
}
