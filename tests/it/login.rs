//! The login path, and complete logins.

use std::time::Duration;

use http::{Method, StatusCode};
use tower_qq_auth::{QqAppBuilder, mock::Endpoint};

use crate::site::{LOGIN, SESSION, Site, param};

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

#[tokio::test]
async fn the_last_four_of_five_tabs_can_finish() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let mut tabs = Vec::new();
    for tab in 0..5 {
        let login = format!("/auth/qq/login?return_to=/{tab}");
        tabs.push(browser.callback_from(&site.qq, &login).await);
        // The jar is sorted by name, so that only the time tells which login is older.
        site.clock.advance(Duration::from_millis(1));
    }
    assert_eq!(browser.pending_logins(), 4);
    let token_calls = site.qq.calls(Endpoint::Token);
    browser
        .get(&tabs[0])
        .await
        .assert_failed(400, "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), token_calls);
    for tab in (1..5).rev() {
        assert_eq!(browser.get(&tabs[tab]).await.location(), format!("/{tab}"));
    }
}

#[tokio::test]
async fn a_hundred_abandoned_logins_leave_four_cookies() {
    let site = Site::new();
    let mut browser = site.browser();
    for _ in 0..100 {
        browser.get("/auth/qq/login").await;
    }
    assert_eq!(browser.pending_logins(), 4);
}

#[tokio::test]
async fn login_cookies_with_their_names_stay_under_6_kib() {
    let site = Site::new();
    for length in (0..2000).step_by(13) {
        let mut browser = site.browser();
        let login = format!("/auth/qq/login?return_to=/{}", "x".repeat(length));
        for _ in 0..4 {
            browser.get(&login).await;
        }
        let logins = browser
            .jar
            .iter()
            .filter(|(name, _)| name.starts_with(LOGIN));
        let pairs: Vec<_> = logins
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let header = pairs.join("; ");
        assert!(header.len() <= 6 * 1024, "{} of {length}", header.len());
    }
}

#[tokio::test]
async fn fake_login_cookies_are_cleared_first_and_a_few_at_a_time() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    for number in 0..40 {
        browser
            .jar
            .insert(format!("{LOGIN}fake{number:04}"), "rubbish".into());
    }
    let start = browser.get("/auth/qq/login").await;
    assert!(
        start.cookies().len() < 20,
        "too many headers: {}",
        start.cookies().len()
    );
    browser.get("/auth/qq/login").await;
    browser.get("/auth/qq/login").await;
    assert_eq!(browser.pending_logins(), 4);
    assert_eq!(browser.get(&callback).await.location(), "/");
}

#[tokio::test]
async fn leaves_cookies_alone_whose_names_only_share_the_prefix() {
    let site = Site::new();
    let mut browser = site.browser();
    for id in ["", "a", "abcdefghi", "abc.defg", "abc(defg", "abc!defg"] {
        browser.jar.insert(format!("{LOGIN}{id}"), "theirs".into());
    }
    let before = browser.jar.clone();
    for _ in 0..4 {
        let start = browser.get("/auth/qq/login").await;
        assert_eq!(start.cookies().len(), 1, "{start:?}");
    }
    assert_eq!(browser.jar.len(), before.len() + 4);
    for (name, value) in before {
        assert_eq!(browser.jar[&name], value);
    }
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
                StatusCode::NO_CONTENT,
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
