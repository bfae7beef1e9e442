//! The examples in a real browser, as a person meets them.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use tokio::net::TcpListener;
use tower_qq_auth::{
    OpenId, QqApp, QqAuthLayer, QqClient, QqUser,
    mock::{Endpoint, MockQq},
};

use crate::{
    process::{Running, callback_at, session_keys},
    site::{APP_ID, APP_KEY},
};

mod avatars;
mod driver;
mod looks;

use driver::{CHINESE, ENGLISH, Settings, Window};

const SIGN_IN: &str = "a[href^=\"/auth/qq/login\"]";
const SIGN_OUT: &str = "form button";
const CANCEL: &str = "a.cancel";
/// People on the mock's page.
const FIRST: &str = "li:nth-child(1) a";
const SECOND: &str = "li:nth-child(2) a";

/// The quickstart, and a QQ beside it that does as it is told.
struct Quickstart {
    _running: Running,
    address: SocketAddr,
    site: String,
    qq: MockQq,
}

impl Quickstart {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (running, address) = Running::at_qq(&base_url, &[]).await;
        let qq = MockQq::new(APP_ID, APP_KEY, callback_at(address));
        tokio::spawn(qq.clone().serve(listener));
        Self {
            _running: running,
            address,
            site: format!("http://{address}/"),
            qq,
        }
    }

    /// A session that somebody got this long ago.
    fn session(&self, nickname: &str, age: Duration) -> String {
        let app = QqApp::new(APP_ID, APP_KEY, callback_at(self.address)).unwrap();
        let client = QqClient::with_service(app, self.qq.clone());
        let layer = QqAuthLayer::with_client(client, session_keys());
        let user = QqUser::new(OpenId::new("SOMEBODY").unwrap()).with_nickname(nickname);
        let then = SystemTime::now() - age;
        layer
            .clock(move || then)
            .session_cookie(&user, None)
            .unwrap()
    }
}

#[track_caller]
fn assert_shows(page: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
}

/// The quickstart and somebody in front of it; nothing where there is no browser.
async fn visit(settings: Settings) -> Option<(Quickstart, Window)> {
    let window = Window::open(settings).await?;
    let quickstart = Quickstart::start().await;
    window.goto(&quickstart.site).await;
    Some((quickstart, window))
}

#[tokio::test]
async fn somebody_signs_in_sees_name_and_picture_and_signs_out() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    assert_shows(&window.text().await, &["你还没有登录", "QQ 登录"]);
    window.click(SIGN_IN).await;
    assert_shows(&window.text().await, &["模拟 QQ 登录"]);
    assert!(!window.url().await.contains("display="));
    window.click(SECOND).await;
    assert_eq!(window.url().await, quickstart.site);
    let person = &quickstart.qq.people()[1];
    assert_shows(&window.text().await, &[&person.nickname, &person.openid]);
    let width = "return document.querySelector('img').naturalWidth";
    assert_eq!(window.run(width).await, 100, "the picture is shown");
    let seen = window.run("return document.cookie").await;
    assert_eq!(seen, "", "no script sees the session");

    window.click(SIGN_OUT).await;
    assert_eq!(window.url().await, quickstart.site);
    assert_shows(&window.text().await, &["你还没有登录"]);
    window.reload().await;
    assert_shows(&window.text().await, &["你还没有登录"]);
}

#[tokio::test]
async fn a_page_for_members_is_where_the_login_ends_that_it_asked_for() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let me = format!("{}me", quickstart.site);
    window.goto(&me).await;
    assert_shows(&window.text().await, &["模拟 QQ 登录"]);
    window.click(FIRST).await;
    assert_eq!(window.url().await, me);
    assert_shows(&window.text().await, &["小明"]);
}

#[tokio::test]
async fn back_and_a_callback_that_comes_again_leave_somebody_signed_in() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    window.click(SIGN_IN).await;
    let callback = quickstart.qq.approve(&window.url().await).unwrap();
    for _ in 0..2 {
        window.goto(&callback).await;
        assert_eq!(window.url().await, quickstart.site);
        assert_shows(&window.text().await, &["小明"]);
    }
    assert_eq!(quickstart.qq.calls(Endpoint::Token), 1);

    // Back on QQ's page, where the button belongs to a login that has ended.
    while !window.url().await.contains("/oauth2.0/authorize") {
        window.back().await;
    }
    window.click(SECOND).await;
    assert_eq!(window.url().await, quickstart.site);
    assert_shows(&window.text().await, &["小明"]);
}

#[tokio::test]
async fn whoever_cancels_at_qq_can_try_again_and_ends_where_they_wanted_to_go() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let me = format!("{}me", quickstart.site);
    window.goto(&me).await;
    window.click(CANCEL).await;
    assert_shows(&window.text().await, &["已取消登录", "重新登录"]);
    window.reload().await;
    assert_shows(&window.text().await, &["重新登录"]);
    window.goto(&me).await;
    window.click(CANCEL).await;
    window.click(SIGN_IN).await;
    window.click(FIRST).await;
    assert_eq!(window.url().await, me);
}

#[tokio::test]
async fn two_tabs_finish_in_reverse_order() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let me = format!("{}me", quickstart.site);
    let first = window.tab().await;
    window.click(SIGN_IN).await;
    window.open_tab().await;
    window.goto(&me).await;
    window.click(SECOND).await;
    assert_eq!(window.url().await, me);
    assert_shows(&window.text().await, &["Penguin"]);
    window.look_at(&first).await;
    window.click(FIRST).await;
    assert_eq!(window.url().await, quickstart.site);
    assert_shows(&window.text().await, &["小明"]);
}

#[tokio::test]
async fn a_session_that_is_over_leads_to_the_login_and_back() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let day = Duration::from_secs(24 * 60 * 60);
    window.set_cookie(&quickstart.session("过客", day)).await;
    window.reload().await;
    assert_shows(&window.text().await, &["过客"]);

    for over in [
        quickstart.session("过客", 8 * day),
        "qq_session=garbage".into(),
    ] {
        window.set_cookie(&over).await;
        window.goto(&quickstart.site).await;
        assert_shows(&window.text().await, &["你还没有登录"]);
        let me = format!("{}me", quickstart.site);
        window.goto(&me).await;
        window.click(FIRST).await;
        assert_eq!(window.url().await, me);
    }
}

#[tokio::test]
async fn a_phone_gets_the_page_of_qq_for_phones() {
    let phone = Settings {
        is_phone: true,
        ..CHINESE
    };
    let Some((quickstart, window)) = visit(phone).await else {
        return;
    };
    window.click(SIGN_IN).await;
    assert_shows(&window.url().await, &["display=mobile"]);
    assert_eq!(window.run("return document.body.className").await, "mobile");
    window.click(FIRST).await;
    assert_eq!(window.url().await, quickstart.site);
    assert_shows(&window.text().await, &["小明"]);
}

#[tokio::test]
async fn failures_are_told_in_the_language_of_the_browser() {
    for (settings, lang, title) in [
        (CHINESE, "zh-CN", "已取消登录"),
        (ENGLISH, "en", "Login cancelled"),
    ] {
        let Some((_quickstart, window)) = visit(settings).await else {
            return;
        };
        window.click(SIGN_IN).await;
        window.click(CANCEL).await;
        let language = window.run("return document.documentElement.lang").await;
        assert_eq!(language, lang);
        assert_shows(&window.text().await, &[title]);
    }
}

#[tokio::test]
async fn a_browser_that_blocks_cookies_is_told_what_to_do() {
    for (settings, words) in [
        (CHINESE, "请允许本站使用 Cookie"),
        (ENGLISH, "Please allow cookies for this site"),
    ] {
        let blocking = Settings {
            blocks_cookies: true,
            ..settings
        };
        let Some((quickstart, window)) = visit(blocking).await else {
            return;
        };
        window.click(SIGN_IN).await;
        window.click(FIRST).await;
        assert_shows(&window.text().await, &[words]);
        assert_eq!(quickstart.qq.calls(Endpoint::Token), 0);
    }
}

#[tokio::test]
async fn the_examples_with_something_of_their_own_sign_in_and_out() {
    let Some(window) = Window::open(CHINESE).await else {
        return;
    };
    for example in ["sqlite_users", "tower_sessions"] {
        let mut running = Running::start(example, &[("LISTEN", "127.0.0.1:0")]);
        let site = running.printed("open").await;
        window.goto(&site).await;
        window.click(SIGN_IN).await;
        window.click(SECOND).await;
        if example == "sqlite_users" {
            assert_shows(&window.text().await, &["欢迎第一次来到本站"]);
            window.click(".button").await;
        }
        assert_eq!(window.url().await, site, "{example}");
        assert_shows(&window.text().await, &["企鹅🐧 Penguin"]);
        window.click(SIGN_OUT).await;
        assert_eq!(window.url().await, site, "{example}");
        assert_shows(&window.text().await, &["你还没有登录"]);
    }
}

#[tokio::test]
async fn the_example_with_tokens_asks_qq_and_refreshes() {
    let Some(window) = Window::open(CHINESE).await else {
        return;
    };
    let mut running = Running::start("open_api", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    window.goto(&site).await;
    window.click("a").await;
    window.click(FIRST).await;
    assert_shows(&window.text().await, &["\"nickname\":\"小明\""]);
    window.goto(&site).await;
    window.click("button").await;
    assert_eq!(window.url().await, format!("{site}profile"));
    assert_shows(&window.text().await, &["\"nickname\":\"小明\""]);
}
