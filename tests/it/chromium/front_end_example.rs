//! The page of the example `front_end`: what it shows and keeps, whatever the user does.

use super::{CANCEL, CHINESE, FIRST, SECOND, Window};
use crate::process::Running;

const POPUP: &str = "#popup";
const BIND: &str = "#bind";

/// Starts the example and opens its page.
async fn visit_page() -> Option<(Running, Window, String)> {
    let window = Window::open(CHINESE).await?;
    let ports = [("LISTEN", "127.0.0.1:0"), ("API_LISTEN", "127.0.0.1:0")];
    let mut running = Running::start("front_end", &ports);
    let page = running.printed("open").await;
    window.goto(&page).await;
    window.wait_for("你还没有登录").await;
    Some((running, window, page))
}

/// Opens a popup by a button, and ends the login there by this choice.
async fn log_in(window: &Window, button: &str, choice: &str) {
    let opener = window.current_tab().await;
    window.tap(button).await;
    window.switch_to_new_tab().await;
    window.wait_for("模拟 QQ 登录").await;
    window.click_by_script(choice).await;
    window.wait_for_tabs(1).await;
    window.switch_to(opener).await;
}

/// Returns the text of an element.
async fn text_of(window: &Window, id: &str) -> String {
    let text = format!("return document.getElementById('{id}').innerText");
    window.run(&text).await.as_str().unwrap().to_owned()
}

async fn save(window: &Window, note: &str) {
    let save = format!(
        "const draft = document.getElementById('draft'); draft.value = '{note}';
        draft.dispatchEvent(new Event('input')); document.getElementById('save').click()"
    );
    window.run(&save).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_saved_once_after_the_login_that_it_needs() {
    let Some((mut running, window, page)) = visit_page().await else {
        return;
    };
    for is_popup in [true, false] {
        save(&window, "a note").await;
        window.wait_for("请先登录").await;
        if is_popup {
            log_in(&window, POPUP, FIRST).await;
        } else {
            window.click("#redirect").await;
            window.click(FIRST).await;
            assert_eq!(window.url().await, page);
        }
        window.wait_for("已保存：a note").await;
        window.reload().await;
        window.wait_for("你好，小明").await;
        assert!(!window.text().await.contains("已保存"));
        window.tap("#sign-out").await;
        window.wait_for("已退出登录").await;
        let mut notes = 0;
        loop {
            let line = running.logged("").await;
            notes += usize::from(line.contains("saved a note"));
            if line.contains("signed out") {
                break;
            }
        }
        assert_eq!(notes, 1, "popup: {is_popup}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_does_not_wait_for_a_login_after_the_sign_out() {
    let Some((_running, window, _)) = visit_page().await else {
        return;
    };
    log_in(&window, POPUP, FIRST).await;
    window.wait_for("你好，小明").await;
    window.tap("#sign-out").await;
    window.wait_for("已退出登录").await;
    window.click("#redirect").await;
    window.click(FIRST).await;
    window.wait_for("你好，小明").await;
    assert_eq!(text_of(&window, "status").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_binding_is_shown_beside_its_button() {
    let Some((_running, window, _)) = visit_page().await else {
        return;
    };
    // The second user gets an account.
    log_in(&window, POPUP, SECOND).await;
    window.wait_for("你好，企鹅").await;
    window.tap("#sign-out").await;
    window.wait_for("已退出登录").await;
    log_in(&window, POPUP, FIRST).await;
    window.wait_for("你好，小明").await;
    for (choice, shown) in [
        (SECOND, "这个 QQ 已绑定其他账号"),
        (CANCEL, "已取消登录"),
        ("li:nth-child(3) a", "绑定成功"),
    ] {
        log_in(&window, BIND, choice).await;
        window.wait_for(shown).await;
        assert!(text_of(&window, "bind-status").await.contains(shown));
        assert_eq!(text_of(&window, "status").await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_the_page_does_not_know_is_shown_by_its_code() {
    let Some((_running, window, page)) = visit_page().await else {
        return;
    };
    window.goto(&format!("{page}#qq_login=constructor")).await;
    window.reload().await;
    window.wait_for("登录未完成（constructor）").await;
    assert_eq!(window.url().await, page);
}
