//! Pages that the site does not trust: they learn nothing from popups, and their messages change
//! nothing.

use serde_json::json;

use super::{
    CANCEL, CHINESE, FIRST, Window, assert_shows,
    popup::{open_popup, send},
    servers::{Servers, fetch},
};

/// Longer than the second after which a popup closes by itself.
const WAIT: &str = "return new Promise(ended => setTimeout(ended, 1500))";

/// Opens a login in a popup from the page of the stranger, and ends it by this choice. Asserts that
/// the popup stays and that the stranger has learnt nothing.
async fn open_by_stranger(servers: &Servers, window: &Window, return_to: &str, choice: &str) {
    let origins = &servers.origins;
    let login = format!("{}/auth/qq/login?popup=1{return_to}", origins.api);
    let login = login.replace('&', "%26");
    window
        .goto(&format!("{}/?open={login}", origins.stranger))
        .await;
    let opener = window.current_tab().await;
    window.tap("#open").await;
    window.switch_to_new_tab().await;
    window.wait_for("模拟 QQ 登录").await;
    window.click(choice).await;
    window.run(WAIT).await;
    let popup = window.current_tab().await;
    window.switch_to(opener).await;
    let learnt = "let url = null; try { url = popup.location.href } catch {}
        return { seen, closed: popup.closed, url }";
    let nothing = json!({ "seen": [], "closed": false, "url": null });
    assert_eq!(window.run(learnt).await, nothing, "{return_to}, {choice}");
    window.switch_to(popup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_opens_a_popup_learns_nothing_and_it_stays() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let to_page = format!("&return_to={}/", servers.origins.page);
    for (return_to, choice, shown) in [
        ("", FIRST, "QQ 登录已完成"),
        ("", CANCEL, "已取消登录"),
        (&to_page, FIRST, "user: 小明"),
        (&to_page, CANCEL, "user: nobody"),
    ] {
        open_by_stranger(&servers, &window, return_to, choice).await;
        window.wait_for(shown).await;
        let url = window.url().await;
        assert!(!url.contains("qq_login"), "{url}");
        if return_to.is_empty() {
            window.click("a.button").await;
        }
        window.close_tab().await;
        let opener = window.wait_for_tabs(1).await.remove(0);
        window.switch_to(opener).await;
        let logout = format!("{}/auth/qq/logout", servers.origins.api);
        window.goto(&servers.origins.page).await;
        fetch(&window, &logout, "{ method: 'POST' }").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_messages_change_nothing_but_a_question_to_the_site() {
    let Some((servers, window)) = Servers::on_ports(CHINESE).await else {
        return;
    };
    let page = &servers.origins.page;
    let opener = open_popup(&window, page).await;
    window.open_tab().await;
    window.goto(&format!("{page}/isolated")).await;
    for message in [
        "null",
        "'ok'",
        "{ outcome: 'ok' }",
        "{ source: 'other', outcome: 'ok' }",
        "{ source: 'qq_login', outcome: ['ok'] }",
        "{ source: 'qq_login', seen: 'ok' }",
        // The only one of the right form.
        "{ source: 'qq_login', outcome: 'ok' }",
    ] {
        send(&window, message).await;
    }
    window.switch_to(opener.clone()).await;
    // Messages arrive in order, so the others did nothing.
    window.wait_for("outcomes: ok.").await;
    assert_shows(&window.text().await, &["user: nobody"]);
    assert_eq!(window.tabs().await.len(), 3, "the popup stays");
    // A message of another window by other means is not heard at all.
    window
        .run("window.postMessage({ source: 'qq_login', outcome: 'ok' }, '*')")
        .await;
    send(&window, "{ source: 'qq_login', outcome: 'ok' }").await;
    window.wait_for("outcomes: ok ok.").await;
    assert_shows(&window.text().await, &["user: nobody"]);
}
