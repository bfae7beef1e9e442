//! Accessibility and layout of the pages, and the screenshots in the README.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use fantoccini::key::Key;
use serde_json::json;
use tokio::time::timeout;
use tower_qq_auth::mock;

use crate::process::Running;

use super::{
    CANCEL, CHINESE, ENGLISH, Endpoint, FIRST, Quickstart, SIGN_IN, SIGN_OUT, Window,
    browser::skip, visit,
};

/// Shows every kind of page, one after the other.
async fn visit_all_pages(quickstart: &Quickstart, window: &Window, check: impl AsyncFn(&str)) {
    let site = &quickstart.site;
    let callback = format!("{site}auth/qq/callback");
    window.goto(site).await;
    check("signed out").await;
    window.goto(&callback).await;
    check("without cookies").await;
    window.goto(site).await;
    window.click(SIGN_IN).await;
    check("at qq").await;
    window.goto(&callback).await;
    check("invalid state").await;
    window.back().await;
    window.click(CANCEL).await;
    check("cancelled").await;
    let unknown_app = mock::Fault::Code(100_008);
    quickstart.qq.fault(Endpoint::Token, 1, unknown_app);
    window.click(SIGN_IN).await;
    window.click(FIRST).await;
    check("misconfigured").await;
    window.click(SIGN_IN).await;
    let url = window.url().await;
    window.goto(&url.replace("client_id=", "client_id=0")).await;
    check("refused by qq").await;
    window.goto(&format!("{site}auth/qq/logout")).await;
    check("logout").await;
    window.goto(&url).await;
    window.click(FIRST).await;
    check("signed in").await;
}

/// Emulates a phone and a desktop, each in light and dark.
async fn for_each_screen(window: &Window, check: impl AsyncFn(&str)) {
    for (width, is_dark) in [(320, false), (320, true), (1280, false), (1280, true)] {
        window.emulate(width, 800, is_dark).await;
        check(&format!("{width} px, dark: {is_dark}")).await;
    }
}

/// Returns the path of a file of the repository.
fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_no_accessibility_violation_on_any_page() {
    let Ok(axe) = fs::read_to_string(in_repository("target/axe-core/axe.min.js")) else {
        return skip("target/axe-core/axe.min.js is missing (run .ci/axe.sh)");
    };
    for settings in [CHINESE, ENGLISH] {
        let Some((quickstart, window)) = visit(settings).await else {
            return;
        };
        visit_all_pages(&quickstart, &window, async |page| {
            assert_no_violation(&axe, &window, page).await;
        })
        .await;
    }
    let window = Window::open(CHINESE).await.unwrap();
    let mut examples = vec!["axum_login", "open_api", "tower_sessions"];
    // These need a feature.
    examples.extend(cfg!(feature = "revocation").then_some("sqlite_users"));
    examples.extend(cfg!(feature = "redis").then_some("websocket"));
    for example in examples {
        let mut running = Running::start(example, &[("LISTEN", "127.0.0.1:0")]);
        window.goto(&running.printed("open").await).await;
        assert_no_violation(&axe, &window, example).await;
    }
}

async fn assert_no_violation(axe: &str, window: &Window, page: &str) {
    const RUN: &str = "return axe.run().then(found => [found.passes.length, found.violations.map(
        rule => [rule.id, rule.nodes.map(node => node.failureSummary + node.html)])])";
    window.run(axe).await;
    for_each_screen(window, async |screen| {
        let found = window.run(RUN).await;
        assert!(found[0].as_u64().unwrap() > 5, "too few rules ran: {found}");
        assert_eq!(found[1], json!([]), "{page}, {screen}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_scrolls_sideways() {
    for settings in [CHINESE, ENGLISH] {
        let Some((quickstart, window)) = visit(settings).await else {
            return;
        };
        visit_all_pages(&quickstart, &window, async |page| {
            for_each_screen(&window, async |screen| {
                let overflow =
                    "const page = document.documentElement; return page.scrollWidth - page.clientWidth";
                assert_eq!(window.run(overflow).await, 0, "{page}, {screen}");
            })
            .await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_works_by_keyboard_with_a_visible_focus() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    follow_first_link(&window, "/auth/qq/login").await;
    window
        .goto(&format!("{}auth/qq/callback", quickstart.site))
        .await;
    follow_first_link(&window, "/auth/qq/login").await;
    follow_first_link(&window, "as=").await;
    assert_eq!(window.url().await, quickstart.site);
    assert!(window.text().await.contains("小明"));
}

/// Focuses the first link of the page by Tab, checks its outline, and presses Enter.
async fn follow_first_link(window: &Window, wanted: &str) {
    window.press(Key::Tab).await;
    let focused = "const it = document.activeElement, style = getComputedStyle(it);
        return [it.getAttribute('href'), style.outlineStyle, parseFloat(style.outlineWidth)]";
    let focused = window.run(focused).await;
    assert!(focused[0].as_str().unwrap().contains(wanted), "{focused}");
    assert_eq!(focused[1], "solid");
    assert!(focused[2].as_f64() >= Some(2.0), "{focused}");
    let before = window.url().await;
    window.press(Key::Enter).await;
    let leave = async { while window.url().await == before {} };
    timeout(Duration::from_secs(20), leave)
        .await
        .expect("Enter follows the link");
}

/// Not a test: `cargo test --workspace --all-features -- --ignored writes_the_screenshots`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes docs/*.png"]
async fn writes_the_screenshots_of_the_readme() {
    let docs = in_repository("docs");
    fs::create_dir_all(&docs).unwrap();
    for (settings, failure) in [(CHINESE, "failure.zh-CN"), (ENGLISH, "failure")] {
        let (quickstart, window) = visit(settings).await.unwrap();
        let shoot = async |name: &str| {
            let file = docs.join(format!("{name}.png"));
            fs::write(file, window.screenshot().await).unwrap();
        };
        window.emulate(440, 560, false).await;
        shoot("signed-out").await;
        window.click(SIGN_IN).await;
        shoot("qq").await;
        window.click(FIRST).await;
        shoot("signed-in").await;
        window.click(SIGN_OUT).await;
        let busy = mock::Fault::Code(100_032);
        quickstart.qq.fault(Endpoint::Token, 1, busy);
        window.click(SIGN_IN).await;
        window.click(FIRST).await;
        shoot(failure).await;
    }
}
