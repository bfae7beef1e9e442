//! The script that sites copy: tabs that wait at the same time, and callbacks that come and go.

use fantoccini::wd::WindowHandle;

use super::{
    CANCEL, CHINESE, FIRST, Window, assert_shows,
    popup::{open_popup, return_to},
    servers::Servers,
};

/// Longer than the script takes to see that a popup is closed.
const WAIT: &str = "return new Promise(ended => setTimeout(ended, 1500))";

/// Ends the login in this popup by a click and returns once it has closed.
async fn finish(window: &Window, popup: WindowHandle, choice: &str) {
    let tabs = window.tabs().await.len();
    window.switch_to(popup).await;
    window.click_by_script(choice).await;
    window.wait_for_tabs(tabs - 1).await;
}

/// Runs a script with the functions of the snippet.
async fn with_snippet(window: &Window, script: &str) {
    let script = format!(
        "return import('/qq-login.js').then(({{ onQqLogin, openQqLogin }}) => {{ {script} }})"
    );
    window.run(&script).await;
}

/// Opens two tabs of this page with a popup each. Returns each tab with its popup.
async fn open_two(window: &Window, page: &str) -> [(WindowHandle, WindowHandle); 2] {
    let first = open_popup(window, page).await;
    let first = (first, window.current_tab().await);
    window.open_tab().await;
    let second = open_popup(window, page).await;
    [first, (second, window.current_tab().await)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_in_one_tab_leaves_the_other_waiting_for_its_own() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    for page in [&servers.origins.api, &servers.origins.page] {
        let [(first, popup), (second, other_popup)] = open_two(&window, page).await;
        finish(&window, popup, CANCEL).await;
        window.switch_to(first.clone()).await;
        window.run(WAIT).await;
        // Not `closed` as well: the failure has closed the window.
        assert_shows(&window.text().await, &["outcomes: cancelled."]);
        finish(&window, other_popup, CANCEL).await;
        window.switch_to(second).await;
        window.wait_for("outcomes: cancelled cancelled.").await;
        window.close_tab().await;
        window.switch_to(first).await;
        assert_shows(&window.text().await, &["outcomes: cancelled."]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_popup_that_outlives_the_failure_of_another_is_reported_when_the_user_closes_it() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let [(_, popup), (second, other_popup)] = open_two(&window, &servers.origins.page).await;
    finish(&window, popup, CANCEL).await;
    window.switch_to(second.clone()).await;
    // Until the failure no longer explains a closed window.
    window
        .run("return new Promise(ended => setTimeout(ended, 3000))")
        .await;
    window.switch_to(other_popup).await;
    window.close_tab().await;
    window.switch_to(second).await;
    window.wait_for("outcomes: cancelled closed.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_callback_hears_the_outcomes_until_it_is_removed() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let page = &servers.origins.page;
    window.goto(page).await;
    let add = "window.heard = [];
        onQqLogin((outcome) => { heard.push(`1 ${outcome}`) });
        const remove = onQqLogin((outcome) => { heard.push(`2 ${outcome}`); remove() })";
    with_snippet(&window, add).await;
    for number in 1..=2 {
        window.tap("#popup").await;
        window.switch_to_new_tab().await;
        window.wait_for("模拟 QQ 登录").await;
        window.click_by_script(CANCEL).await;
        let page = window.wait_for_tabs(1).await.remove(0);
        window.switch_to(page).await;
        let outcomes = vec!["cancelled"; number].join(" ");
        window.wait_for(&format!("outcomes: {outcomes}.")).await;
    }
    let heard = window.run("return heard.join()").await;
    assert_eq!(heard, "1 cancelled,2 cancelled,1 cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_returns_false_keeps_the_page_of_a_failure_and_a_retry_still_counts() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    for answer in ["false", "Promise.resolve(false)"] {
        let opener = open_popup(&window, &servers.origins.api).await;
        let popup = window.current_tab().await;
        window.switch_to(opener.clone()).await;
        with_snippet(&window, &format!("onQqLogin(() => {answer})")).await;
        window.switch_to(popup).await;
        window.click(CANCEL).await;
        window.run(WAIT).await;
        assert_shows(&window.text().await, &["已取消登录"]);
        window.click("a.button").await;
        window.click_by_script(FIRST).await;
        return_to(&window, opener).await;
        window.wait_for("outcomes: cancelled ok.").await;
        window.delete_cookies().await;
    }
}
