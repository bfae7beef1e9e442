//! The layer's own pages: causes and ways back, frames, prefetches and wrong methods.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Method, Response, StatusCode};
use tower_qq_auth::{
    Verdict,
    mock::{Endpoint, Fault},
};

use crate::site::{Browser, Reply, SESSION, Site, path};

const CALLBACK: &str = "/auth/qq/callback";
const LOGIN: &str = "/auth/qq/login?return_to=/x";

/// Returns label and target of the page's links, all of which must leave a frame.
#[track_caller]
pub(crate) fn links(page: &Reply) -> Vec<(&str, &str)> {
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let links = page.body.split("<a ").skip(1).map(|link| {
        let link = link.split_once("</a>").unwrap().0;
        let (attributes, label) = link.split_once('>').unwrap();
        assert!(attributes.contains("target=\"_top\""), "{link}");
        (label, attribute(attributes, "href"))
    });
    links.collect()
}

#[track_caller]
fn attribute<'h>(html: &'h str, name: &str) -> &'h str {
    let start = format!(" {name}=\"");
    let html = html
        .split_once(&start)
        .or_else(|| html.split_once(&start[1..]));
    html.unwrap().1.split_once('"').unwrap().0
}

/// Fails unless the page loads and frames nothing, and has no style or script but those that its
/// policy names.
#[track_caller]
pub(crate) fn assert_strict(page: &Reply) {
    let style = hash(page, "style").expect("a style");
    let script = hash(page, "script").map(|hash| format!("; script-src {hash}"));
    assert_eq!(
        page.header("content-security-policy"),
        format!(
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
             style-src {style}{}",
            script.unwrap_or_default()
        )
    );
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
}

/// Returns the hash of the only element of this name, if there is one.
#[track_caller]
fn hash(page: &Reply, element: &str) -> Option<String> {
    let start = format!("<{element}");
    let mut parts = page.body.split(&*start).skip(1);
    let text = parts.next()?.strip_prefix('>').expect("no attributes");
    assert_eq!(parts.next(), None, "{}", page.body);
    let text = text.split_once("</").unwrap().0;
    let hash = BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
    Some(format!("'sha256-{hash}'"))
}

/// Returns the same browser, which loads the next page in a frame.
fn framing(browser: Browser) -> Browser {
    let browser = browser.header("sec-fetch-mode", "navigate");
    browser.header("sec-fetch-dest", "iframe")
}

#[tokio::test]
async fn every_failed_login_offers_another_and_the_way_back() {
    for (language, again, other, home) in [
        ("zh-CN", "重新登录", "换一个 QQ 号登录", "返回首页"),
        (
            "en",
            "Sign in again",
            "Use another QQ account",
            "Back to the site",
        ),
    ] {
        let site = Site::new();
        let mut browser = site.browser().header("accept-language", language);
        for fault in [
            Fault::Code(100_020),
            Fault::Code(100_008),
            Fault::Code(100_032),
            Fault::CutBody,
            Fault::Status(StatusCode::FORBIDDEN),
        ] {
            site.qq.fault(Endpoint::Token, 1, fault.clone());
            let page = browser.sign_in(&site.qq, LOGIN).await;
            assert!(page.status.is_client_error(), "{fault:?}");
            assert_eq!(links(&page), [(again, LOGIN), (home, "/")], "{fault:?}");
            assert_strict(&page);
        }
        // The same account would fail again.
        site.qq.fault(Endpoint::Token, 1, Fault::Code(110_406));
        let page = browser.sign_in(&site.qq, LOGIN).await;
        assert_eq!(links(&page), [(home, "/"), (other, LOGIN)]);
        let page = browser.get(CALLBACK).await;
        assert_eq!(links(&page), [(again, "/auth/qq/login"), (home, "/")]);
        assert_strict(&page);
    }
}

#[tokio::test]
async fn a_cancelled_login_is_not_called_a_failure() {
    for (language, sign_in, home) in [
        ("zh-CN", "使用 QQ 登录", "返回首页"),
        ("en", "Sign in with QQ", "Back to the site"),
    ] {
        let site = Site::new();
        let mut browser = site.browser().header("accept-language", language);
        let start = browser.get(LOGIN).await;
        let callback = site.qq.cancel(start.location()).unwrap();
        let page = browser.get(&path(&callback)).await;
        assert_eq!(links(&page), [(sign_in, LOGIN), (home, "/")]);
    }
}

#[tokio::test]
async fn a_cancelled_login_with_an_intent_leads_back_to_its_page() {
    let site = Site::new();
    let browser = site.signed_in().await;
    let mut browser = browser.header("sec-fetch-site", "same-origin");
    let start = browser
        .get("/auth/qq/login?intent=bind&return_to=/settings")
        .await;
    let callback = path(&site.qq.cancel(start.location()).unwrap());
    let page = browser.get(&callback).await;
    assert_eq!(links(&page), [("返回", "/settings"), ("返回首页", "/")]);
}

#[tokio::test]
async fn a_refused_user_is_led_home_first_and_to_another_account_second() {
    let refuse =
        |reason: &'static str| move |_, _| ready(Ok::<_, tower::BoxError>(Verdict::refuse(reason)));
    let site = Site::with(|app| app, |layer| layer.on_login(refuse("该账号已停用")));
    let page = site.browser().sign_in(&site.qq, LOGIN).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.body.contains("该账号已停用"), "{}", page.body);
    let wanted = [("返回首页", "/"), ("换一个 QQ 号登录", LOGIN)];
    assert_eq!(links(&page), wanted);
    let program = site.browser().program().sign_in(&site.qq, LOGIN).await;
    assert_eq!(program.problem()["login_url"], LOGIN);

    let silent = Site::with(|app| app, |layer| layer.on_login(refuse("")));
    let page = silent.browser().sign_in(&silent.qq, LOGIN).await;
    assert!(
        page.body.contains("这个 QQ 号不能登录本站"),
        "{}",
        page.body
    );

    let own = Site::with(
        |app| app,
        |layer| {
            let page = |failure: &tower_qq_auth::hooks::Failure<'_>| {
                Response::new(format!("{} {}", failure.button(), failure.url()))
            };
            layer.on_login(refuse("no")).failure_page(page)
        },
    );
    let page = own.browser().sign_in(&own.qq, LOGIN).await;
    assert_eq!(page.body, "返回首页 /");
}

#[tokio::test]
async fn the_page_of_an_invalid_state_names_the_likely_cause() {
    type Change = fn(&Site, &mut Browser, &mut String);
    let cases: [(Change, &str, &str); 7] = [
        (
            |_, browser, _| browser.jar.clear(),
            "登录可能已经完成或过期，或是在其他浏览器、App",
            "is probably finished or has expired, or was started in another browser",
        ),
        (
            |_, browser, _| browser.jar = [("theme".into(), "dark".into())].into(),
            "可能已经完成或过期",
            "It is probably finished or has expired",
        ),
        (
            |_, _, callback| *callback = CALLBACK.into(),
            "它只在从 QQ 跳转回来时有效",
            "only on the way back from QQ",
        ),
        (
            |site, _, _| site.clock.advance(Duration::from_secs(11 * 60)),
            "超过 10 分钟",
            "within 10 minutes",
        ),
        (
            |_, browser, _| {
                let cookie = browser.jar.first_entry().unwrap().into_mut();
                cookie.replace_range(..8, "AAAAAAAA");
            },
            "信息已无法读取",
            "can no longer be read",
        ),
        (
            |_, _, callback| *callback += "x",
            "不完整或不一致",
            "incomplete or do not match",
        ),
        (
            |_, _, callback| *callback = format!("{callback}&state=x"),
            "不完整或不一致",
            "incomplete or do not match",
        ),
    ];
    for (change, chinese, english) in cases {
        for (language, cause) in [("zh-CN", chinese), ("en", english)] {
            let site = Site::new();
            let mut browser = site.browser().header("accept-language", language);
            let mut callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
            change(&site, &mut browser, &mut callback);
            let page = browser.get(&callback).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST);
            assert!(page.body.contains(cause), "{cause}: {}", page.body);
            assert_eq!(site.qq.calls(Endpoint::Token), 0);
        }
    }
}

#[tokio::test]
async fn only_the_browser_of_a_login_learns_that_it_is_finished() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let mut stale = browser.clone();
    browser.get(&callback).await;
    let other_code = callback.replace("code=", "code=0");
    let page = stale.get(&other_code).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("登录链接已使用"), "{}", page.body);
    for uri in [&callback, &other_code] {
        let page = site.browser().get(uri).await;
        assert!(page.body.contains("登录未完成"), "{}", page.body);
    }
}

#[tokio::test]
async fn a_stale_callback_does_not_accuse_the_browser() {
    let site = Site::new();
    for (language, accusation) in [
        ("zh-CN", "浏览器没有发送 Cookie"),
        ("en", "sent no cookies"),
    ] {
        let mut browser = site.signed_in().await.header("accept-language", language);
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        browser.get(&callback).await;
        browser.post("/auth/qq/logout").await;
        // The cookies of the login and of the session are gone, like those of a blocking browser.
        assert!(browser.jar.is_empty(), "{:?}", browser.jar);
        site.clock.advance(Duration::from_secs(3600));
        let page = browser.get(&callback).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(!page.body.contains(accusation), "{}", page.body);
    }
}

#[tokio::test]
async fn a_frame_gets_a_page_whose_link_opens_the_login_at_the_top() {
    let site = Site::with(
        |app| app,
        |layer| layer.failure_page(|_| Response::new("the app's page".to_owned())),
    );
    let mut browser = site.signed_in().await;
    let session = browser.jar[SESSION].clone();
    site.clock.advance(Duration::from_secs(90 * 24 * 60 * 60));
    browser = framing(browser);
    let page = browser.get("/me?tab=1").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    let [(label, url)] = links(&page)[..] else {
        panic!("{}", page.body)
    };
    assert_eq!(label, "使用 QQ 登录");
    assert!(url.starts_with("/auth/qq/login"), "{url}");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'self';"), "{policy}");
    assert!(policy.contains("form-action 'none';"), "{policy}");
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.cookies().is_empty(), "{page:?}");
    for fact in ["小明", session.as_str(), "错误编号"] {
        assert!(!page.body.contains(fact), "{}", page.body);
    }
}

#[tokio::test]
async fn no_other_page_can_be_framed() {
    let site = Site::new();
    let mut browser = framing(site.browser());
    for uri in [CALLBACK, "/auth/qq/logout"] {
        let page = browser.get(uri).await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{uri}: {policy}");
    }
    browser = browser.header("sec-fetch-site", "cross-site");
    let page = browser.post("/auth/qq/logout").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_strict(&page);
}

#[tokio::test]
async fn a_prefetch_gets_a_page_with_a_link_to_the_same_url() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let site = Site::with(
        |app| app,
        |layer| {
            layer.failure_page(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Response::new(String::new())
            })
        },
    );
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, LOGIN).await;
    browser = browser.header("sec-purpose", "prefetch");
    for accept in ["text/html", "*/*"] {
        browser = browser.header("accept", accept);
        for uri in [LOGIN, &callback, "/auth/qq/logout?return_to=/x"] {
            let page = browser.get(uri).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{uri}");
            let url = uri.replace('&', "&amp;");
            let wanted = [("继续", url.as_str()), ("返回首页", "/")];
            assert_eq!(links(&page), wanted);
            assert!(page.cookies().is_empty(), "{page:?}");
            assert_strict(&page);
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0, "not a failure of the app");
}

#[tokio::test]
async fn opening_the_logout_url_shows_a_button_that_signs_out() {
    let site = Site::new();
    for (language, label, home) in [
        ("zh-CN", "退出登录", "返回首页"),
        ("en", "Sign out", "Back to the site"),
    ] {
        let mut browser = site.signed_in().await.header("accept-language", language);
        let page = browser.get("/auth/qq/logout?return_to=/x%3Fa&b='").await;
        assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(page.header("allow"), "POST");
        assert_eq!(links(&page), [(home, "/")]);
        let button = format!("<button class=\"button\">{label}</button>");
        assert!(page.body.contains(&button), "{}", page.body);
        let policy = page.header("content-security-policy");
        // It would stop the browser if the page after the logout leads on to QQ.
        assert!(!policy.contains("form-action"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none';"), "{policy}");
        assert_ne!(browser.whoami().await, serde_json::Value::Null);

        let form = page.body.split_once("<form ").unwrap().1;
        assert_eq!(attribute(form, "method"), "post");
        let action = attribute(form, "action");
        assert_eq!(action, "/auth/qq/logout?return_to=/x%3Fa&amp;b=&#x27;");
        let action = action.split_once("&amp;").unwrap().0;
        assert_eq!(browser.post(action).await.location(), "/x?a");
        assert_eq!(browser.whoami().await, serde_json::Value::Null);
    }
}

/// `no-referrer` would make browsers without Fetch Metadata send `Origin: null`.
#[tokio::test]
async fn the_button_of_the_logout_page_sends_its_origin() {
    let page = Site::new().browser().get("/auth/qq/logout").await;
    let meta = "<meta name=\"referrer\" content=\"same-origin\">";
    assert!(page.body.contains(meta), "{}", page.body);
}

#[tokio::test]
async fn a_wrong_method_gets_a_page_or_a_problem() {
    let site = Site::new();
    let wrong = [
        (Method::POST, "/auth/qq/login", "GET"),
        (Method::PUT, CALLBACK, "GET"),
        (Method::HEAD, CALLBACK, "GET"),
        (Method::OPTIONS, "/auth/qq/logout", "POST"),
        (Method::DELETE, "/auth/qq/logout", "POST"),
    ];
    for (method, uri, allow) in wrong {
        let page = site.browser().send(method.clone(), uri).await;
        assert_eq!(
            page.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {uri}"
        );
        assert_eq!(page.header("allow"), allow);
        assert_eq!(links(&page), [("返回首页", "/")]);
        assert_strict(&page);

        let reply = site.browser().program().send(method, uri).await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(reply.header("allow"), allow);
        let problem = reply.problem();
        assert_eq!(problem["status"], 405);
        assert_eq!(problem["code"], "method_not_allowed");
    }
    let mut program = site.browser().program();
    let reply = program.get("/auth/qq/logout").await;
    assert_eq!(reply.header("allow"), "POST");
    assert_eq!(reply.problem()["code"], "method_not_allowed");
}

#[tokio::test]
async fn pages_and_json_follow_one_rule_for_their_language() {
    let site = Site::new();
    for (accepted, is_english) in [
        (None, false),
        (Some(""), false),
        (Some("zh-CN,zh;q=0.9,en;q=0.8"), false),
        (Some("en-US,en;q=0.9,zh-CN;q=0.8"), true),
        (Some("EN"), true),
        (Some("en;q=0"), false),
        (Some("en;q=0.5, zh;q=0.5"), false),
        (Some("fr, en;q=0.3"), true),
        (Some("fr"), false),
        (Some("*"), false),
    ] {
        let mut browser = site.browser();
        if let Some(accepted) = accepted {
            browser = browser.header("accept-language", accepted);
        }
        let title = |reply: &Reply| match reply.header("content-type") {
            "application/problem+json" => reply.problem()["title"].as_str().unwrap().to_owned(),
            _ => {
                let page = reply.body.split_once("<title>").unwrap().1;
                page.split_once("</title>").unwrap().0.to_owned()
            }
        };
        let foreign = |browser: &Browser| browser.clone().header("sec-fetch-site", "cross-site");
        let requests = [
            (Method::POST, "/form", browser.clone(), 401),
            (
                Method::GET,
                "/auth/qq/callback?state=1",
                browser.clone(),
                400,
            ),
            (Method::PUT, "/auth/qq/login", browser.clone(), 405),
            (Method::POST, "/auth/qq/logout", foreign(&browser), 403),
        ];
        for (method, uri, mut browser, status) in requests {
            let page = browser.send(method.clone(), uri).await;
            let json = browser.program().send(method, uri).await;
            for reply in [&page, &json] {
                assert_eq!(reply.status.as_u16(), status, "{reply:?}");
                let is_ascii = title(reply).is_ascii();
                assert_eq!(is_ascii, is_english, "{accepted:?}: {reply:?}");
            }
            assert_eq!(title(&page), title(&json), "{accepted:?}, {uri}");
        }
    }
}
