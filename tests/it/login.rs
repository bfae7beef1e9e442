//! The login path, and complete logins.

use std::time::Duration;

use http::{Method, StatusCode};
use tower_qq_auth::{
    QqApp, QqAppBuilder, QqAuthLayer, QqClient,
    mock::{Endpoint, MockQq},
};

use crate::site::{APP_ID, APP_KEY, Browser, LOGIN, SESSION, Site, keys, pages, param};

#[tokio::test]
async fn login_signs_in_and_logout_signs_out() {
    let site = Site::new();
    let mut browser = site.browser();
    assert_eq!(browser.whoami().await, serde_json::Value::Null);

    let end = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/deep/page")
        .await;
    assert_eq!(end.location(), "/deep/page");
    let expected = &site.qq.people()[0];
    let user = browser.whoami().await;
    assert_eq!(user["openid"], expected.openid);
    assert_eq!(user["nickname"], expected.nickname);
    assert_eq!(user["profile_complete"], true);
    assert!(user["avatar"].as_str().unwrap().starts_with("https://"));

    let end = browser.post("/auth/qq/logout").await;
    assert_eq!(end.location(), "/");
    assert_eq!(browser.whoami().await, serde_json::Value::Null);
    assert!(browser.jar.is_empty());
}

#[tokio::test]
async fn login_redirects_to_qq_with_all_parameters() {
    let site = Site::new();
    let start = site.browser().get("/auth/qq/login").await;
    let url = start.location();
    assert!(url.starts_with("https://graph.qq.com/oauth2.0/authorize?"));
    assert_eq!(param(url, "response_type"), "code");
    assert_eq!(param(url, "client_id"), "101905280");
    assert_eq!(
        param(url, "redirect_uri"),
        "https%3A%2F%2Fsite.example%2Fauth%2Fqq%2Fcallback"
    );
    assert_eq!(param(url, "scope"), "get_user_info");
    let state = param(url, "state");
    assert!(state.len() >= 22, "128 bits in base64: {state}");
    assert!(
        state
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    );
    assert!(!url.contains("display="));
}

#[tokio::test]
async fn cookies_have_safe_attributes() {
    let site = Site::new();
    let mut browser = site.browser();
    let start = browser.get("/auth/qq/login").await;
    let [pending] = start.cookies()[..] else {
        panic!("{start:?}")
    };
    assert!(pending.starts_with(LOGIN));
    assert!(
        pending.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"),
        "{pending}"
    );

    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    let [session, cleared] = end.cookies()[..] else {
        panic!("{end:?}")
    };
    assert!(session.starts_with(SESSION));
    assert!(
        session.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=604800"),
        "{session}"
    );
    assert!(cleared.starts_with(LOGIN));
    assert!(
        cleared.ends_with("=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"),
        "{cleared}"
    );
    for reply in [start, end] {
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert!(!reply.cookies().concat().contains("Domain"));
    }
}

#[tokio::test]
async fn phones_get_the_mobile_page() {
    const IPHONE: &str =
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148 Safari/604.1";
    const ANDROID: &str =
        "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36";
    const TABLET: &str =
        "Mozilla/5.0 (Linux; Android 14; SM-X700) AppleWebKit/537.36 Chrome/120.0 Safari/537.36";
    const PC: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0 Safari/537.36";
    type Page = fn(QqAppBuilder) -> QqAppBuilder;
    let auto: Page = |app| app;
    let (desktop, mobile): (Page, Page) = (QqAppBuilder::desktop_page, QqAppBuilder::mobile_page);
    let cases = [
        ("auto", auto, IPHONE, None, true),
        ("auto", auto, ANDROID, None, true),
        ("auto", auto, TABLET, None, false),
        ("auto", auto, PC, None, false),
        ("auto", auto, PC, Some("?1"), true),
        ("auto", auto, ANDROID, Some("?0"), false),
        ("desktop", desktop, IPHONE, Some("?1"), false),
        ("mobile", mobile, PC, None, true),
    ];
    for (name, page, agent, hint, is_mobile) in cases {
        let site = Site::with(page, |layer| layer);
        let mut browser = site.browser().header("user-agent", agent);
        if let Some(hint) = hint {
            browser = browser.header("sec-ch-ua-mobile", hint);
        }
        let start = browser.get("/auth/qq/login").await;
        let asks_for_mobile = start.location().ends_with("&display=mobile");
        assert_eq!(asks_for_mobile, is_mobile, "{name} {agent} {hint:?}");
    }
}

#[tokio::test]
async fn two_tabs_can_finish_in_reverse_order() {
    let site = Site::new();
    let mut browser = site.browser();
    let first = browser
        .callback_from(&site.qq, "/auth/qq/login?return_to=/1")
        .await;
    let second = browser
        .callback_from(&site.qq, "/auth/qq/login?return_to=/2")
        .await;
    assert_eq!(browser.get(&second).await.location(), "/2");
    assert_eq!(browser.pending_logins(), 1);
    assert_eq!(browser.get(&first).await.location(), "/1");
    assert_eq!(browser.pending_logins(), 0);
}

/// Starts logins that end at `/0`, `/1` and so on, and returns their callbacks.
async fn open_tabs(site: &Site, browser: &mut Browser, count: usize) -> Vec<String> {
    let mut tabs = Vec::new();
    for tab in 0..count {
        let login = format!("/auth/qq/login?return_to=/{tab}");
        tabs.push(browser.callback_from(&site.qq, &login).await);
    }
    tabs
}

/// Returns the size of the cookies of a browser in its requests, the longest first.
fn sent_bytes(browser: &Browser) -> Vec<usize> {
    let pair = |(name, value): (&String, &String)| format!("{name}={value}; ").len();
    let mut sizes: Vec<_> = browser.jar.iter().map(pair).collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    sizes
}

#[tokio::test]
async fn eight_tabs_one_after_the_other_end_at_their_own_pages() {
    let site = Site::new();
    for reverse in [false, true] {
        let mut browser = site.browser();
        let tabs = open_tabs(&site, &mut browser, 8).await;
        assert_eq!(browser.pending_logins(), 8);
        let mut tabs: Vec<_> = tabs.iter().enumerate().collect();
        if reverse {
            tabs.reverse();
        }
        for (tab, callback) in tabs {
            assert_eq!(browser.get(callback).await.location(), format!("/{tab}"));
        }
        assert_eq!(browser.pending_logins(), 0);
    }
}

#[tokio::test]
async fn further_tabs_replace_the_oldest() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let tabs = open_tabs(&site, &mut browser, 11).await;
    assert_eq!(browser.pending_logins(), 8);
    let token_calls = site.qq.calls(Endpoint::Token);
    for callback in &tabs[..3] {
        let reply = browser.get(callback).await;
        reply.assert_failed(400, "invalid_state");
    }
    assert_eq!(site.qq.calls(Endpoint::Token), token_calls);
    for (tab, callback) in tabs.iter().enumerate().skip(3) {
        assert_eq!(browser.get(callback).await.location(), format!("/{tab}"));
    }
}

#[tokio::test]
async fn two_tabs_one_after_the_other_finish_whatever_else_is_under_way() {
    let site = Site::new();
    let mut abandoned = site.browser();
    open_tabs(&site, &mut abandoned, 100).await;
    let mut expired = site.browser();
    open_tabs(&site, &mut expired, 8).await;
    site.clock.advance(Duration::from_secs(10 * 60));
    let mut recent = site.browser();
    open_tabs(&site, &mut recent, 8).await;
    let mut ahead = site.browser();
    site.clock.advance(Duration::from_secs(4 * 60));
    open_tabs(&site, &mut ahead, 8).await;
    site.clock.turn_back(Duration::from_secs(4 * 60));
    let mut unreadable = site.browser();
    for slot in 0..8 {
        let value = "rubbish".into();
        unreadable.jar.insert(format!("{LOGIN}{slot}"), value);
    }
    for browser in [
        site.browser(),
        abandoned,
        expired,
        recent,
        ahead,
        unreadable,
    ] {
        // Names are random.
        for _ in 0..20 {
            let mut browser = browser.clone();
            let tabs = open_tabs(&site, &mut browser, 2).await;
            assert_eq!(browser.get(&tabs[0]).await.location(), "/0");
            assert_eq!(browser.get(&tabs[1]).await.location(), "/1");
        }
    }
}

#[tokio::test]
async fn after_a_hundred_abandoned_logins_the_next_one_completes() {
    let site = Site::new();
    let mut browser = site.browser();
    for number in 0..100 {
        let start = browser.get("/auth/qq/login").await;
        assert_eq!(start.cookies().len(), 1, "{start:?}");
        assert_eq!(browser.pending_logins(), 8.min(number + 1));
    }
    let end = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
        .await;
    assert_eq!(end.location(), "/x");
    assert_eq!(browser.pending_logins(), 7);
}

#[tokio::test]
async fn expired_and_unreadable_logins_are_replaced_before_live_ones() {
    let site = Site::new();
    let mut browser = site.browser();
    open_tabs(&site, &mut browser, 2).await;
    site.clock.advance(Duration::from_secs(10 * 60));
    let mut live = site.browser();
    let older = open_tabs(&site, &mut live, 8).await;
    // Two of the eight names hold expired logins, and one holds rubbish.
    let expired = browser.jar.clone();
    live.jar.extend(expired.clone());
    let rubbish = live.jar.keys().find(|name| !expired.contains_key(*name));
    let rubbish = rubbish.unwrap().clone();
    live.jar.insert(rubbish, "rubbish".into());
    let newer = open_tabs(&site, &mut live, 3).await;
    for (tab, callback) in newer.iter().enumerate() {
        assert_eq!(live.get(callback).await.location(), format!("/{tab}"));
    }
    let mut live = live.program();
    live.jar.remove(SESSION);
    let mut finished = 0;
    for (tab, callback) in older.iter().enumerate() {
        let end = live.get(callback).await;
        if end.status == StatusCode::SEE_OTHER {
            assert_eq!(end.location(), format!("/{tab}"));
            finished += 1;
        }
        live.jar.remove(SESSION);
    }
    assert_eq!(finished, 5);
}

#[tokio::test]
async fn fifty_parallel_starts_leave_at_most_eight_cookies_of_4000_bytes() {
    for prefix in ["qq", "a-prefix-of-thirty-two-characters".split_at(32).0] {
        let site = Site::with(|app| app, |layer| layer.cookie_prefix(prefix));
        for length in [0, 90, 240, 300, 330, 360, 1_500] {
            let mut browser = site.browser();
            let mut sizes = Vec::new();
            for filling in ["x", "%C3%A9", "%2526"] {
                let filling = filling.repeat(length / filling.len());
                let login = format!("/auth/qq/login?return_to=/{filling}");
                let before = browser.clone();
                for _ in 0..50 {
                    let mut tab = before.clone();
                    let start = tab.get(&login).await;
                    let [cookie] = start.cookies()[..] else {
                        panic!("{start:?}")
                    };
                    let (name, rest) = cookie.split_once('=').unwrap();
                    let value = rest.split(';').next().unwrap();
                    browser.jar.insert(name.into(), value.into());
                }
                sizes = sent_bytes(&browser);
                assert!(sizes[0] <= 500, "{sizes:?}");
                assert!(sizes.len() <= 8, "{sizes:?}");
                assert!(sizes.iter().sum::<usize>() <= 4_000, "{sizes:?}");
            }
            assert!(sizes.len() > 1, "the names are random: {sizes:?}");
        }
    }
}

#[tokio::test]
async fn of_a_thousand_pairs_started_together_at_least_800_both_finish() {
    let site = Site::new();
    let mut finished = 0;
    for _ in 0..1_000 {
        let mut browser = site.browser();
        let mut tab = browser.clone();
        let start = "/auth/qq/login?return_to=/";
        let first = browser.callback_from(&site.qq, &format!("{start}1")).await;
        let second = tab.callback_from(&site.qq, &format!("{start}2")).await;
        browser.jar.extend(tab.jar);
        let ends = [browser.get(&first).await, browser.get(&second).await];
        let mut pages = ends.iter().map(|end| end.headers.get("location"));
        let both = ["/1", "/2"].map(|page| pages.next().flatten().is_some_and(|end| end == page));
        finished += usize::from(both == [true; 2]);
    }
    assert!(finished >= 800, "{finished}");
}

#[tokio::test]
async fn leaves_cookies_alone_whose_names_only_share_the_prefix() {
    let site = Site::new();
    let mut browser = site.browser();
    for id in ["", "8", "9", "00", "-1", "a", "0.", "x0"] {
        browser.jar.insert(format!("{LOGIN}{id}"), "theirs".into());
    }
    let before = browser.jar.clone();
    for _ in 0..20 {
        let start = browser.get("/auth/qq/login").await;
        assert_eq!(start.cookies().len(), 1, "{start:?}");
    }
    assert_eq!(browser.jar.len(), before.len() + 8);
    for (name, value) in before {
        assert_eq!(browser.jar[&name], value);
    }
}

#[tokio::test]
async fn a_login_cookie_of_another_redirect_uri_is_unknown() {
    let site = Site::new();
    let staging = "https://staging.example/auth/qq/callback";
    let qq = MockQq::new(APP_ID, APP_KEY, staging);
    let app = QqApp::new(APP_ID, APP_KEY, staging).unwrap();
    let layer = QqAuthLayer::builder(QqClient::with_service(app, qq.clone()), keys());
    let clock = site.clock.clone();
    let layer = layer.clock(move || clock.now()).build().unwrap();
    let staging = Site {
        router: pages().layer(layer),
        qq,
        ..Site::new()
    };
    let mut browser = staging.browser().program();
    let callback = browser.callback_from(&staging.qq, "/auth/qq/login").await;
    let mut elsewhere = site.browser().program();
    elsewhere.jar = browser.jar.clone();
    let reply = elsewhere.get(&callback).await;
    reply.assert_failed(400, "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), 0);
    assert_eq!(browser.get(&callback).await.location(), "/");
}

#[tokio::test]
async fn other_methods_and_prefetches_neither_start_nor_finish_a_login() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let before = (browser.jar.clone(), site.qq.journal().len());

    let paths = [
        ("/auth/qq/login", "GET"),
        (callback.as_str(), "GET"),
        ("/auth/qq/logout", "POST"),
    ];
    for (path, allow) in paths {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::OPTIONS,
            Method::PUT,
            Method::DELETE,
        ] {
            if method.as_str() == allow {
                continue;
            }
            let reply = browser.send(method.clone(), path).await;
            assert_eq!(
                reply.status,
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
            assert_eq!(reply.header("allow"), allow);
            assert_eq!(reply.header("cache-control"), "no-store");
        }
        let purposes = [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("purpose", "prefetch"),
            ("purpose", "preview"),
            ("x-purpose", "preview"),
        ];
        for (name, value) in purposes {
            let reply = browser.clone().header(name, value).get(path).await;
            assert_eq!(
                reply.status,
                StatusCode::FORBIDDEN,
                "{name}: {value} {path}"
            );
            assert!(reply.cookies().is_empty());
        }
    }
    assert_eq!((browser.jar.clone(), site.qq.journal().len()), before);
    assert_eq!(
        browser.get(&callback).await.location(),
        "/",
        "the login can still finish"
    );
}

#[tokio::test]
async fn paths_match_byte_for_byte() {
    let site = Site::new();
    for path in [
        "/auth/qq/callback/",
        "/auth/qq/login/",
        "//auth/qq/login",
        "/auth/qq/%6cogin",
        "/auth/qq/%63allback",
        "/AUTH/QQ/LOGIN",
        "/auth/qq/login;x",
        "/auth/qq/./login",
    ] {
        let reply = site.browser().get(path).await;
        assert_eq!(
            reply.status,
            StatusCode::NOT_FOUND,
            "{path} belongs to the app"
        );
    }
}

#[tokio::test]
async fn ignores_hosts_and_protocols_from_client_headers() {
    let site = Site::new();
    let poisoned = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-original-url", "/auth/qq/logout"),
    ];
    for (name, value) in poisoned {
        let mut browser = site.browser().header(name, value);
        let start = browser.get("/auth/qq/login").await;
        assert!(
            !format!("{:?}", start.headers).contains("evil.example"),
            "{name}"
        );
        assert!(start.cookies()[0].contains("; Secure"));
        let end = browser
            .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
            .await;
        assert_eq!(end.location(), "/x");
    }
    // A request target in absolute form also names a host.
    let start = site
        .browser()
        .get("http://evil.example/auth/qq/login")
        .await;
    assert!(!start.location().contains("evil.example"));
}

#[tokio::test]
async fn every_login_creates_a_new_session() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let first = browser.jar[SESSION].clone();
    browser.sign_in(&site.qq, "/auth/qq/login").await;
    assert_ne!(browser.jar[SESSION], first);
}
