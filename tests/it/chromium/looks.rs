//! What pages are like to read and to use, and the pictures of them in the README.

use std::{fs, path::Path, time::Duration};

use serde_json::json;
use tokio::time::timeout;
use tower_qq_auth::mock;

use crate::process::Running;

use super::{
    CANCEL, CHINESE, ENGLISH, Endpoint, FIRST, Quickstart, SIGN_IN, SIGN_OUT, Window,
    driver::missing, visit,
};

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// Every kind of page that a person may meet, one after the other.
async fn pages(quickstart: &Quickstart, window: &Window, check: impl AsyncFn(&str)) {
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
    let unknown = mock::Fault::Code(100_008);
    quickstart.qq.fault(Endpoint::Token, 1, unknown);
    window.click(SIGN_IN).await;
    window.click(FIRST).await;
    check("misconfigured").await;
    window.click(SIGN_IN).await;
    let url = window.url().await;
    window.goto(&url.replace("client_id=", "client_id=0")).await;
    check("refused by qq").await;
    window.goto(&url).await;
    window.click(FIRST).await;
    check("signed in").await;
}

/// At each width, in light and dark.
async fn in_each_look(window: &Window, check: impl AsyncFn(&str)) {
    for (width, is_dark) in [(360, false), (360, true), (1280, false), (1280, true)] {
        window.look(width, 800, is_dark).await;
        check(&format!("{width} px, dark: {is_dark}")).await;
    }
}

#[tokio::test]
async fn no_page_has_a_fault_that_axe_finds() {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe-core/axe.min.js");
    let Ok(axe) = fs::read_to_string(axe) else {
        return missing("target/axe-core/axe.min.js is not there (.ci/axe.sh fetches it)");
    };
    for settings in [CHINESE, ENGLISH] {
        let Some((quickstart, window)) = visit(settings).await else {
            return;
        };
        pages(&quickstart, &window, async |page| {
            assert_no_fault(&axe, &window, page).await;
        })
        .await;
    }
    let window = Window::open(CHINESE).await.unwrap();
    for example in ["open_api", "sqlite_users", "tower_sessions"] {
        let mut running = Running::start(example, &[("LISTEN", "127.0.0.1:0")]);
        window.goto(&running.printed("open").await).await;
        assert_no_fault(&axe, &window, example).await;
    }
}

async fn assert_no_fault(axe: &str, window: &Window, page: &str) {
    const ASK: &str = "return axe.run().then(found => [found.passes.length, found.violations.map(
        fault => [fault.id, fault.nodes.map(node => node.failureSummary + node.html)])])";
    window.run(axe).await;
    in_each_look(window, async |look| {
        let found = window.run(ASK).await;
        assert!(found[0].as_u64().unwrap() > 5, "it has looked: {found}");
        assert_eq!(found[1], json!([]), "{page}, {look}");
    })
    .await;
}

#[tokio::test]
async fn no_page_has_to_be_scrolled_sideways() {
    for settings in [CHINESE, ENGLISH] {
        let Some((quickstart, window)) = visit(settings).await else {
            return;
        };
        pages(&quickstart, &window, async |page| {
            in_each_look(&window, async |look| {
                let wide = "const page = document.documentElement; return page.scrollWidth - page.clientWidth";
                assert_eq!(window.run(wide).await, 0, "{page}, {look}");
            })
            .await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_login_needs_no_mouse_and_shows_where_the_keyboard_is() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    press_first(&window, "/auth/qq/login").await;
    window
        .goto(&format!("{}auth/qq/callback", quickstart.site))
        .await;
    press_first(&window, "/auth/qq/login").await;
    press_first(&window, "as=").await;
    assert_eq!(window.url().await, quickstart.site);
    assert!(window.text().await.contains("小明"));
}

/// Goes to the first link of the page by Tab, sees that it is marked, and presses Enter.
async fn press_first(window: &Window, wanted: &str) {
    window.press(TAB).await;
    let focused = "const it = document.activeElement, style = getComputedStyle(it);
        return [it.getAttribute('href'), style.outlineStyle, parseFloat(style.outlineWidth)]";
    let focused = window.run(focused).await;
    assert!(focused[0].as_str().unwrap().contains(wanted), "{focused}");
    assert_eq!(focused[1], "solid");
    assert!(focused[2].as_f64() >= Some(2.0), "{focused}");
    let before = window.url().await;
    window.press(ENTER).await;
    let left = async { while window.url().await == before {} };
    timeout(Duration::from_secs(20), left)
        .await
        .expect("Enter leads on");
}

/// Not a test: `cargo test --all-features --test it -- --ignored writes_the_pictures`.
#[tokio::test]
#[ignore = "writes docs/*.png"]
async fn writes_the_pictures_of_the_readme() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::create_dir_all(&docs).unwrap();
    for (settings, failure) in [(CHINESE, "failure.zh-CN"), (ENGLISH, "failure")] {
        let (quickstart, window) = visit(settings).await.unwrap();
        let picture = async |name: &str| {
            let file = docs.join(format!("{name}.png"));
            fs::write(file, window.picture().await).unwrap();
        };
        window.look(440, 480, false).await;
        picture("signed-out").await;
        window.click(SIGN_IN).await;
        picture("qq").await;
        window.click(FIRST).await;
        picture("signed-in").await;
        window.click(SIGN_OUT).await;
        let busy = mock::Fault::Code(100_032);
        quickstart.qq.fault(Endpoint::Token, 1, busy);
        window.click(SIGN_IN).await;
        window.click(FIRST).await;
        picture(failure).await;
    }
}
