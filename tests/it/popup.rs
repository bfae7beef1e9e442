//! Logins in a popup, of which the page that opened it learns the outcome.

use std::{future::ready, time::Duration};

use axum::{Router, routing::get};
use http::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tower::BoxError;
use tower_qq_auth::{
    LoginError, Verdict,
    mock::{Endpoint, Fault},
};

use crate::{
    answers::{assert_strict, links},
    return_to::assert_small,
    site::{Reply, SESSION, Site, param, path},
};

mod trusted;

const LOGIN: &str = "/auth/qq/login?popup=1&return_to=/x";
const LOGIN_IN_HTML: &str = "/auth/qq/login?popup=1&amp;return_to=/x";
/// The origin of a front end, and a page there.
const TRUSTED: &str = "https://www.site.example";
const PAGE: &str = "https://www.site.example/x";

const REJECTED: Fault = Fault::Code(100_020);

fn site_with_front_end() -> Site {
    Site::with(|app| app, |layer| layer.trusted_origins([TRUSTED]))
}

/// Returns the URL of a login in a popup.
fn popup_to(return_to: &str) -> String {
    let return_to = utf8_percent_encode(return_to, NON_ALPHANUMERIC);
    format!("/auth/qq/login?popup=1&return_to={return_to}")
}

/// Returns the outcome that this page of the layer tells, after checks that hold for each of them.
#[track_caller]
fn outcome(page: &Reply) -> &str {
    assert_strict(page);
    assert_small(page);
    assert!(page.body.contains("<script>"), "{}", page.body);
    let body = page.body.split_once("<body data-outcome=\"");
    let body = body.unwrap_or_else(|| panic!("{}", page.body)).1;
    body.split_once("\">").unwrap().0
}

fn script(page: &Reply) -> &str {
    let script = page.body.split_once("<script>").unwrap().1;
    script.split_once("</script>").unwrap().0
}

#[track_caller]
fn support_code(reply: &Reply) -> &str {
    let error = reply.extensions.get::<LoginError>().unwrap();
    error.support_code().unwrap()
}

#[tokio::test]
async fn a_popup_ends_at_a_page_that_tells_the_outcome_and_nothing_else() {
    for (language, title, go_on) in [
        ("zh-CN", "QQ 登录已完成", "继续"),
        ("en", "QQ login is done", "Continue"),
    ] {
        let site = Site::new();
        let mut browser = site.browser().header("accept-language", language);
        let callback = browser.callback_from(&site.qq, LOGIN).await;
        let page = browser.get(&callback).await;
        assert_eq!((page.status, outcome(&page)), (StatusCode::OK, "ok"));
        assert_eq!(links(&page), [(go_on, "/x")]);
        let head = format!("<html lang=\"{language}\">");
        assert!(page.body.contains(&head), "{}", page.body);
        let title = format!("<title>{title}</title>");
        assert!(page.body.contains(&title), "{}", page.body);

        let user = &site.qq.people()[0];
        let (code, state) = (param(&callback, "code"), param(&callback, "state"));
        let session = &browser.jar[SESSION];
        for fact in [&*user.nickname, &user.openid, code, state, session] {
            assert!(!page.body.contains(fact), "{fact}: {}", page.body);
        }
        assert_eq!(browser.pending_logins(), 0);
        assert_ne!(browser.whoami().await, Value::Null);
    }
}

#[tokio::test]
async fn only_one_popup_of_1_asks_for_a_popup() {
    let site = Site::new();
    for (query, is_popup) in [
        ("popup=1", true),
        ("a=b&popup=1&c", true),
        ("%70opup=%31", true),
        ("", false),
        ("popup", false),
        ("popup=", false),
        ("popup=0", false),
        ("popup=11", false),
        ("popup=+1", false),
        ("popup=true", false),
        ("popup=%FF", false),
        ("Popup=1", false),
        ("popup=1&popup=1", false),
        ("popup=1&%70opup=0", false),
    ] {
        let login = format!("/auth/qq/login?{query}");
        let end = site.browser().sign_in(&site.qq, &login).await;
        let status = if is_popup { 200 } else { 303 };
        assert_eq!(end.status.as_u16(), status, "{query}");
        assert_eq!(end.body.contains("data-outcome"), is_popup, "{query}");
    }
}

#[tokio::test]
async fn another_try_stays_in_the_popup() {
    let site = Site::new();
    let login = "/auth/qq/login?popup=1&remember=0&return_to=/x";
    let mut browser = site.browser();
    site.qq.fault(Endpoint::Token, 1, REJECTED);
    let failed = browser.sign_in(&site.qq, login).await;
    let callback = browser.callback_from(&site.qq, login).await;
    site.clock.advance(Duration::from_secs(11 * 60));
    let expired = browser.get(&callback).await;
    let url = login.replace('&', "&amp;");
    for (page, code) in [(failed, "code_rejected"), (expired, "invalid_state")] {
        assert_eq!((page.status.as_u16(), outcome(&page)), (400, code));
        assert_eq!(links(&page), [("重新登录", &*url), ("返回首页", "/")]);
    }
    let end = browser.sign_in(&site.qq, login).await;
    assert_eq!(outcome(&end), "ok");
    let session = end.cookies()[0];
    assert!(session.starts_with(SESSION) && !session.contains("Max-Age"));
}

#[tokio::test]
async fn a_login_with_an_intent_stays_in_the_popup() {
    let site = Site::new();
    let bind = "/auth/qq/login?popup=1&intent=bind&return_to=/settings";
    let browser = site.signed_in().await;
    let mut browser = browser.header("sec-fetch-site", "same-origin");
    let end = browser.sign_in(&site.qq, bind).await;
    assert_eq!((end.status, outcome(&end)), (StatusCode::OK, "ok"));
    assert_eq!(links(&end), [("继续", "/settings")]);

    let start = browser.get(bind).await;
    let callback = path(&site.qq.cancel(start.location()).unwrap());
    let page = browser.get(&callback).await;
    assert_eq!(outcome(&page), "cancelled");
    assert_eq!(links(&page), [("返回", "/settings"), ("返回首页", "/")]);
}

#[tokio::test]
async fn a_failure_shows_the_usual_page_with_its_code() {
    let site = Site::with(
        |app| app,
        |layer| layer.failure_page(|_| Response::new("the app's page".to_owned())),
    );
    let mut browser = site.browser();
    let success = browser.sign_in(&site.qq, LOGIN).await;
    let mut browser = site.browser();
    for (fault, status, code) in [
        (REJECTED, 400, "code_rejected"),
        (Fault::Code(100_008), 424, "misconfigured"),
        (Fault::Code(110_406), 424, "not_approved"),
        (Fault::Code(100_032), 424, "qq_busy"),
        (Fault::CutBody, 424, "qq_unavailable"),
    ] {
        site.qq.fault(Endpoint::Token, 1, fault);
        let page = browser.sign_in(&site.qq, LOGIN).await;
        assert_eq!((page.status.as_u16(), outcome(&page)), (status, code));
        let urls: Vec<_> = links(&page).into_iter().map(|(_, url)| url).collect();
        assert!(urls.contains(&LOGIN_IN_HTML), "{urls:?}");
        assert!(urls.contains(&"/"), "{urls:?}");
        let shown = format!("<code>{}</code>", support_code(&page));
        assert!(page.body.contains(&shown), "{}", page.body);
        assert_eq!(script(&page), script(&success));
        assert_eq!(browser.whoami().await, Value::Null);
    }
    let start = browser.get(LOGIN).await;
    let callback = path(&site.qq.cancel(start.location()).unwrap());
    let page = browser.get(&callback).await;
    assert_eq!((page.status.as_u16(), outcome(&page)), (403, "cancelled"));

    // Without a login cookie, nothing tells that the callback belongs to a popup.
    let page = browser.get(&callback).await;
    assert_eq!(page.body, "the app's page");
}

#[tokio::test]
async fn a_failure_at_the_start_shows_its_code_in_the_popup() {
    let site = Site::new();
    let own = site.browser().header("sec-fetch-site", "same-origin");
    let foreign = site.browser().header("sec-fetch-site", "cross-site");
    let bind = "/auth/qq/login?popup=1&intent=bind&return_to=/settings";
    for (mut browser, status, code) in [(own, 401, "login_required"), (foreign, 403, "refused")] {
        let page = browser.get(bind).await;
        assert_eq!((page.status.as_u16(), outcome(&page)), (status, code));
        assert_eq!(browser.pending_logins(), 0);
    }
    // Browsers do not show a prefetched page, and no login has failed.
    let mut prefetch = site.browser().header("sec-purpose", "prefetch");
    let page = prefetch.get(LOGIN).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(links(&page)[0], ("继续", LOGIN_IN_HTML));
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert_strict(&page);
}

#[tokio::test]
async fn the_page_that_the_hook_chose_is_behind_the_button() {
    let site_with = |verdict: Verdict| {
        let hook = move |_, _| ready(Ok::<_, BoxError>(verdict.clone()));
        Site::with(
            |app| app,
            |layer| layer.trusted_origins([TRUSTED]).on_login(hook),
        )
    };
    for (chosen, url) in [
        ("/welcome", "/welcome"),
        (PAGE, PAGE),
        ("//evil.example", "/"),
    ] {
        let site = site_with(Verdict::allow().redirect_to(chosen));
        let end = site.browser().sign_in(&site.qq, LOGIN).await;
        assert_eq!((end.status, outcome(&end)), (StatusCode::OK, "ok"));
        assert_eq!(links(&end), [("继续", url)]);
        let end = site.browser().sign_in(&site.qq, &popup_to(PAGE)).await;
        assert_eq!(end.location(), "https://www.site.example/x#qq_login=ok");
    }
    let site = site_with(Verdict::refuse("closed").redirect_to("/not-yet"));
    let page = site.browser().sign_in(&site.qq, LOGIN).await;
    assert_eq!((page.status.as_u16(), outcome(&page)), (403, "refused"));
    assert!(page.body.contains("closed"), "{}", page.body);
    let wanted = [("返回首页", "/"), ("换一个 QQ 号登录", LOGIN_IN_HTML)];
    assert_eq!(links(&page), wanted);
    let end = site.browser().sign_in(&site.qq, &popup_to(PAGE)).await;
    assert_eq!(
        end.location(),
        "https://www.site.example/x#qq_login=refused"
    );
    let end = site.browser().sign_in(&site.qq, "/auth/qq/login").await;
    assert_eq!(end.location(), "/not-yet");
}

#[tokio::test]
async fn forward_mode_ignores_popup() {
    let handler = Router::new().route("/auth/qq/callback", get(async || "the app's page"));
    let site = Site::with_pages(
        |_| handler,
        |layer| layer.forward_callback().trusted_origins([TRUSTED]),
    );
    for login in [LOGIN, &popup_to(PAGE)] {
        let end = site.browser().sign_in(&site.qq, login).await;
        assert_eq!(end.body, "the app's page");
        site.qq.fault(Endpoint::Token, 1, REJECTED);
        let page = site.browser().sign_in(&site.qq, login).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(!page.body.contains("data-outcome"), "{}", page.body);
        assert!(!page.body.contains("popup"), "{}", page.body);
        assert_strict(&page);
    }
}

#[tokio::test]
async fn a_second_callback_of_a_popup_gets_the_same_answer() {
    let site = site_with_front_end();
    for login in [LOGIN, &popup_to(PAGE)] {
        for fault in [None, Some(REJECTED)] {
            let mut browser = site.browser();
            let callback = browser.callback_from(&site.qq, login).await;
            if let Some(fault) = fault {
                site.qq.fault(Endpoint::Token, 1, fault);
            }
            // The browser asks again before the first answer removes its login cookie.
            let mut reloading = browser.clone();
            let (first, second) = (browser.get(&callback).await, reloading.get(&callback).await);
            assert_eq!(first.status, second.status);
            assert_eq!(first.body, second.body);
            assert_eq!(
                first.headers.get("location"),
                second.headers.get("location")
            );
            assert_eq!(browser.whoami().await, reloading.whoami().await);
        }
    }
}

#[tokio::test]
async fn a_popup_tells_its_failure_to_a_signed_in_user_too() {
    let site = site_with_front_end();
    let mut browser = site.signed_in().await;
    for login in [LOGIN, &popup_to(PAGE)] {
        site.qq.fault(Endpoint::Token, 1, REJECTED);
        let rejected = browser.sign_in(&site.qq, login).await;
        let callback = browser.callback_from(&site.qq, login).await;
        site.clock.advance(Duration::from_secs(11 * 60));
        let expired = browser.get(&callback).await;
        for (reply, code) in [(rejected, "code_rejected"), (expired, "invalid_state")] {
            if login == LOGIN {
                assert_eq!(outcome(&reply), code);
            } else {
                assert_eq!(reply.location(), format!("{PAGE}#qq_login={code}"));
            }
        }
    }
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn pages_of_any_length_keep_the_answers_of_a_popup_small() {
    let site = site_with_front_end();
    for origin in ["", TRUSTED] {
        for length in [200, 270, 280, 300, 350, 1000, 1024, 3000] {
            for filling in ["x", "%E4", "中"] {
                let text = filling.repeat(length / filling.len());
                let login = popup_to(&format!("{origin}/x?{text}"));
                let mut browser = site.browser();
                let start = browser.get(&login).await;
                assert_small(&start);
                let callback = path(&site.qq.approve(start.location()).unwrap());
                assert_small(&browser.get(&callback).await);
            }
        }
    }
}
