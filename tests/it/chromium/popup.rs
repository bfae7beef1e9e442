//! Logins in a popup, which a page of the site or of a trusted origin opens.

use fantoccini::wd::WindowHandle;

use super::{
    CANCEL, CHINESE, FIRST, Settings, Window, assert_shows,
    servers::{Servers, fetch},
};

const POPUP: &str = "#popup";

/// Opens a popup from this page, switches to it and waits for QQ's page. Returns the opener.
pub(super) async fn open_popup(window: &Window, page: &str) -> WindowHandle {
    window.goto(page).await;
    window.wait_for("user: nobody").await;
    let opener = window.current_tab().await;
    let before = window.tabs().await;
    window.tap(POPUP).await;
    let mut tabs = window.wait_for_tabs(before.len() + 1).await;
    tabs.retain(|tab| !before.contains(tab));
    window.switch_to(tabs.remove(0)).await;
    window.wait_for("模拟 QQ 登录").await;
    opener
}

/// Waits until the popup has closed, and switches to its opener.
pub(super) async fn return_to(window: &Window, opener: WindowHandle) {
    window.wait_for_tabs(1).await;
    window.switch_to(opener).await;
}

/// Sends a message to the other windows of this origin, which get it in order.
pub(super) async fn send(window: &Window, message: &str) {
    let send = format!("new BroadcastChannel('qq_login').postMessage({message})");
    window.run(&send).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_opener_learns_that_the_login_succeeded_and_the_popup_closes() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let origins = &servers.origins;
    for page in [&origins.api, &origins.page] {
        let opener = open_popup(&window, page).await;
        window.click_by_script(FIRST).await;
        return_to(&window, opener).await;
        window.wait_for("outcomes: ok.").await;
        assert_shows(&window.text().await, &["user: 小明"]);
        assert_eq!(window.url().await, format!("{page}/"));
        window.delete_cookies().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_popup_closes_after_a_success_that_no_page_waits_for() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let api = &servers.origins.api;
    let opener = open_popup(&window, api).await;
    let popup = window.current_tab().await;
    window.switch_to(opener.clone()).await;
    let left = format!("{api}/rendered");
    window.goto(&left).await;
    window.switch_to(popup).await;
    window.click_by_script(FIRST).await;
    return_to(&window, opener).await;
    window.reload().await;
    assert_shows(&window.text().await, &["user: 小明"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_opener_learns_that_the_user_cancelled_and_the_popup_closes() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let origins = &servers.origins;
    for page in [&origins.api, &origins.page] {
        let opener = open_popup(&window, page).await;
        window.click_by_script(CANCEL).await;
        return_to(&window, opener).await;
        window.wait_for("outcomes: cancelled.").await;
        assert_shows(&window.text().await, &["user: nobody"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_failure_stays_until_its_outcome_is_acknowledged() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let api = &servers.origins.api;
    let opener = open_popup(&window, api).await;
    let popup = window.current_tab().await;
    // Loaded again, the page no longer waits for the popup.
    window.switch_to(opener.clone()).await;
    window.reload().await;
    window.switch_to(popup).await;
    window.click(CANCEL).await;
    window.wait_for("已取消登录").await;
    window.click("a.button").await;
    assert_shows(&window.text().await, &["模拟 QQ 登录"]);
    window.click(CANCEL).await;
    window.wait_for("已取消登录").await;
    let count = "let heard = 0; new BroadcastChannel('qq_login').onmessage =
        () => document.body.append(` heard ${++heard}`)";
    window.run(count).await;
    let popup = window.current_tab().await;
    window.switch_to(opener.clone()).await;
    for message in [
        "null",
        "'cancelled'",
        "{ seen: 'cancelled' }",
        "{ source: 'other', seen: 'cancelled' }",
        "{ source: 'qq_login', seen: ['cancelled'] }",
        "{ source: 'qq_login', seen: 'ok' }",
    ] {
        send(&window, message).await;
    }
    window.switch_to(popup).await;
    window.wait_for("heard 6").await;
    window.switch_to(opener).await;
    send(&window, "{ source: 'qq_login', seen: 'cancelled' }").await;
    window.wait_for_tabs(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_popup_is_reported() {
    let blocking = Settings {
        blocks_popups: true,
        ..CHINESE
    };
    let Some((servers, window)) = Servers::on_ports(blocking).await else {
        return;
    };
    for page in [&servers.origins.api, &servers.origins.page] {
        window.goto(&format!("{page}/?popup")).await;
        window.wait_for("outcomes: blocked.").await;
        assert_eq!(window.tabs().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_popup_that_the_user_closes_is_reported_and_can_be_opened_again() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let opener = open_popup(&window, &servers.origins.page).await;
    window.close_tab().await;
    window.switch_to(opener.clone()).await;
    window.wait_for("outcomes: closed.").await;
    window.tap(POPUP).await;
    window.switch_to_new_tab().await;
    window.wait_for("模拟 QQ 登录").await;
    window.click_by_script(FIRST).await;
    return_to(&window, opener).await;
    window.wait_for("outcomes: closed ok.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_click_uses_the_same_popup() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let opener = open_popup(&window, &servers.origins.page).await;
    let popup = window.current_tab().await;
    // So that only another page shows the text again.
    window.run("document.body.textContent = ''").await;
    window.switch_to(opener.clone()).await;
    window.tap(POPUP).await;
    window.switch_to(popup).await;
    window.wait_for("模拟 QQ 登录").await;
    assert_eq!(window.tabs().await.len(), 2);
    window.close_tab().await;
    window.switch_to(opener).await;
    window.wait_for("outcomes: closed").await;
    // Only once, though a second click starts a second watch.
    window
        .run("return new Promise(ended => setTimeout(ended, 1000))")
        .await;
    assert_shows(&window.text().await, &["outcomes: closed."]);
}

/// Signs in and cancels by popups of this page, at both origins.
async fn assert_outcomes_arrive(servers: &Servers, window: &Window, path: &str) {
    let origins = &servers.origins;
    for (choice, outcome) in [(FIRST, "ok"), (CANCEL, "cancelled")] {
        for origin in [&origins.api, &origins.page] {
            let opener = open_popup(window, &format!("{origin}{path}")).await;
            window.click_by_script(choice).await;
            return_to(window, opener).await;
            // Before it or after it the page hears `closed`.
            window.wait_for(&format!(" {outcome}")).await;
            window.delete_cookies().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_arrives_when_qq_cuts_off_the_opener() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    servers.isolate_qq();
    assert_outcomes_arrive(&servers, &window, "/").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_arrives_when_the_opener_cuts_off_its_popups() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    assert_outcomes_arrive(&servers, &window, "/isolated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_popup_binds_by_an_intent() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let origins = &servers.origins;
    for page in [&origins.api, &origins.page] {
        window.goto(page).await;
        window.tap("#bind-popup").await;
        window.wait_for("outcomes: login_required.").await;
        window.wait_for_tabs(1).await;
        window.click("#sign-in").await;
        window.click(FIRST).await;
        window.wait_for("user: 小明, no account").await;
        let opener = window.current_tab().await;
        window.tap("#bind-popup").await;
        window.switch_to_new_tab().await;
        window.wait_for("模拟 QQ 登录").await;
        window.click_by_script(FIRST).await;
        return_to(&window, opener).await;
        window.wait_for("outcomes: ok.").await;
        assert_shows(&window.text().await, &["user: 小明, bind"]);
        let logout = format!("{}/auth/qq/logout", origins.api);
        fetch(&window, &logout, "{ method: 'POST' }").await;
    }
}
