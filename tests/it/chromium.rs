//! The examples in a real browser.

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
mod browser;
#[cfg(all(unix, feature = "redis"))]
mod deploy;
mod driver;
mod frames;
mod front_end;
mod front_end_example;
mod htmx;
mod looks;
mod own_site;
mod popup;
mod popup_snippet;
mod requests;
mod servers;
mod strangers;
mod subdomains;

use browser::{CHINESE, ENGLISH, Settings};
use driver::Window;

const SIGN_IN: &str = "a[href^=\"/auth/qq/login\"]";
const SIGN_OUT: &str = "form button";
const CANCEL: &str = "a.cancel";
/// The way back from a page of the layer.
const HOME: &str = "a.link[href=\"/\"]";
/// The links of the users on the page of the mock.
const FIRST: &str = "li:nth-child(1) a";
const SECOND: &str = "li:nth-child(2) a";

/// The quickstart with a mock that the test controls.
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

    /// Returns the cookie of a session of this age.
    fn session(&self, nickname: &str, age: Duration) -> String {
        let app = QqApp::new(APP_ID, APP_KEY, callback_at(self.address)).unwrap();
        let client = QqClient::with_service(app, self.qq.clone());
        let then = SystemTime::now() - age;
        let layer = QqAuthLayer::builder(client, session_keys())
            .clock(move || then)
            .build()
            .unwrap();
        let user = QqUser::new(OpenId::new("VISITOR").unwrap()).with_nickname(nickname);
        layer.session_cookie(&user, None).unwrap()
    }
}

#[track_caller]
fn assert_shows(page: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
}

/// Opens the quickstart in a new browser. Returns `None` if no browser is installed.
async fn visit(settings: Settings) -> Option<(Quickstart, Window)> {
    let window = Window::open(settings).await?;
    let quickstart = Quickstart::start().await;
    window.goto(&quickstart.site).await;
    Some((quickstart, window))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_sees_name_and_avatar_and_signs_out() {
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
    assert_eq!(window.run(width).await, 100, "the avatar is shown");
    let cookies = window.run("return document.cookie").await;
    assert_eq!(cookies, "", "scripts cannot read the session");

    window.click(SIGN_OUT).await;
    assert_eq!(window.url().await, quickstart.site);
    assert_shows(&window.text().await, &["你还没有登录"]);
    window.reload().await;
    assert_shows(&window.text().await, &["你还没有登录"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_returns_to_the_protected_page_that_required_it() {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_callback_and_the_back_button_keep_the_user_signed_in() {
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

    // The page of the mock still has the state of the finished login.
    while !window.url().await.contains("/oauth2.0/authorize") {
        window.back().await;
    }
    window.click(SECOND).await;
    assert_eq!(window.url().await, quickstart.site);
    assert_shows(&window.text().await, &["小明"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_login_can_be_retried_and_returns_to_its_page() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let me = format!("{}me", quickstart.site);
    window.goto(&me).await;
    window.click(CANCEL).await;
    assert_shows(&window.text().await, &["已取消登录", "使用 QQ 登录"]);
    window.click(HOME).await;
    assert_eq!(window.url().await, quickstart.site);
    window.back().await;
    window.reload().await;
    assert_shows(&window.text().await, &["重新登录"]);
    window.goto(&me).await;
    window.click(CANCEL).await;
    window.click(SIGN_IN).await;
    window.click(FIRST).await;
    assert_eq!(window.url().await, me);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_finish_their_logins_in_reverse_order() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let me = format!("{}me", quickstart.site);
    let first = window.current_tab().await;
    window.click(SIGN_IN).await;
    window.open_tab().await;
    window.goto(&me).await;
    window.click(SECOND).await;
    assert_eq!(window.url().await, me);
    assert_shows(&window.text().await, &["Penguin"]);
    window.switch_to(first).await;
    window.click(FIRST).await;
    assert_eq!(window.url().await, quickstart.site);
    assert_shows(&window.text().await, &["小明"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_or_invalid_session_leads_to_the_login_and_back() {
    let Some((quickstart, window)) = visit(CHINESE).await else {
        return;
    };
    let day = Duration::from_secs(24 * 60 * 60);
    window.set_cookie(&quickstart.session("过客", day)).await;
    window.reload().await;
    assert_shows(&window.text().await, &["过客"]);

    for invalid in [
        quickstart.session("过客", 8 * day),
        "qq_session=garbage".into(),
    ] {
        window.set_cookie(&invalid).await;
        window.goto(&quickstart.site).await;
        assert_shows(&window.text().await, &["你还没有登录"]);
        let me = format!("{}me", quickstart.site);
        window.goto(&me).await;
        window.click(FIRST).await;
        assert_eq!(window.url().await, me);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_gets_the_mobile_page_of_qq() {
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

#[tokio::test(flavor = "multi_thread")]
async fn failure_pages_are_in_the_language_of_the_browser() {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_blocks_cookies_is_asked_to_allow_them() {
    for (settings, advice) in [
        (CHINESE, "请允许本站使用 Cookie"),
        (ENGLISH, "allow cookies for this site"),
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
        assert_shows(&window.text().await, &[advice]);
        assert_eq!(quickstart.qq.calls(Endpoint::Token), 0);
    }
}

#[cfg(feature = "revocation")] // of the first example
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_with_a_users_table_and_with_sessions_sign_in_and_out() {
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
            assert_shows(&window.text().await, &["欢迎你，新用户"]);
            window.click(".button").await;
        }
        assert_eq!(window.url().await, site, "{example}");
        assert_shows(&window.text().await, &["企鹅🐧 Penguin"]);
        window.click(SIGN_OUT).await;
        assert_eq!(window.url().await, site, "{example}");
        assert_shows(&window.text().await, &["你还没有登录"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_api_example_calls_qq_and_refreshes_tokens() {
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

#[cfg(feature = "redis")] // of the example
#[tokio::test(flavor = "multi_thread")]
async fn the_chat_page_shows_in_every_tab_that_its_session_has_ended() {
    let Some(window) = Window::open(CHINESE).await else {
        return;
    };
    let mut running = Running::start("websocket", &[("LISTEN", "127.0.0.1:0")]);
    let site = running.printed("open").await;
    window.goto(&site).await;
    window.click(SIGN_IN).await;
    window.click(SECOND).await;
    window.wait_for("已连接。").await;
    let say = "document.getElementById('text').value = '<b>在吗</b>';
        document.getElementById('form').requestSubmit()";
    window.run(say).await;
    window.wait_for("企鹅🐧 Penguin: <b>在吗</b>").await;

    let first = window.current_tab().await;
    window.open_tab().await;
    window.goto(&site).await;
    window.wait_for("已连接。").await;
    let sign_out = "document.getElementById('sign-out').click()";
    window.run(sign_out).await;
    window.wait_for("登录已失效。").await;
    window.switch_to(first).await;
    window.wait_for("登录已失效。").await;
    assert!(!window.text().await.contains("发送"));
    window.click("#offline a").await;
    assert_shows(&window.text().await, &["登录后即可聊天。"]);
}
