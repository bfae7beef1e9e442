//! Frames, prefetches and the logout page in a real browser.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::{CHINESE, FIRST, HOME, SIGN_IN, SIGN_OUT, assert_shows, visit};

/// Puts the protected page into a frame of the current page and waits for it.
const OPEN_FRAME: &str = "const frame = document.createElement('iframe'); frame.src = '/me';
    const loaded = new Promise(loaded => frame.onload = loaded);
    document.body.append(frame); return loaded.then(() => frame.contentDocument?.body.innerText)";

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_page_in_a_frame_opens_the_login_at_the_top() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let shown = window.run(OPEN_FRAME).await;
    assert_shows(shown.as_str().unwrap(), &["请先登录", "整个窗口"]);
    let click = "document.querySelector('iframe').contentDocument.querySelector('a').click()";
    window.run(click).await;
    let leave = async { while !window.url().await.contains("/oauth2.0/authorize") {} };
    timeout(Duration::from_secs(20), leave)
        .await
        .expect("the link opens at the top");
    window.click(FIRST).await;
    assert_eq!(window.url().await, format!("{}me", quickstart.site));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_failure_shows_in_no_frame() {
    let Some((_quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let open = OPEN_FRAME.replace("'/me'", "'/auth/qq/callback'");
    // The browser shows its own error page, which scripts cannot read.
    assert_eq!(window.run(&open).await, json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefetched_login_starts_with_the_click() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let prefetch = "const link = document.createElement('link'); link.rel = 'prefetch';
        link.href = document.querySelector('a[href^=\"/auth/qq/login\"]').href;
        const ended = new Promise(ended => link.onload = link.onerror = ended);
        document.head.append(link); return ended.then(event => event.type)";
    window.run(prefetch).await;
    window.click(SIGN_IN).await;
    window.click(FIRST).await;
    assert_eq!(window.url().await, quickstart.site);
    assert_shows(&window.text().await, &["小明"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logout_page_signs_out_and_leads_on() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let logout = format!("{}auth/qq/logout?return_to=/me", quickstart.site);
    window.click(SIGN_IN).await;
    window.click(FIRST).await;
    window.goto(&logout).await;
    window.click(HOME).await;
    assert_shows(&window.text().await, &["小明"]);
    window.goto(&logout).await;
    window.click(SIGN_OUT).await;
    // The protected page sends the browser on to QQ.
    assert_shows(&window.text().await, &["模拟 QQ 登录"]);
    window.goto(&quickstart.site).await;
    assert_shows(&window.text().await, &["你还没有登录"]);
}
