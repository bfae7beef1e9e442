//! Popups of a front end at a trusted origin.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tower_qq_auth::mock::{Endpoint, Fault};

use super::{LOGIN, PAGE, REJECTED, TRUSTED, outcome, popup_to, site_with_front_end, support_code};
use crate::{
    answers::links,
    log::Log,
    site::{builder, pages, path},
};

#[tokio::test]
async fn the_popup_of_a_trusted_origin_ends_there_with_the_outcome() {
    let site = site_with_front_end();
    for (page, end) in [
        ("/", "/"),
        ("/x", "/x"),
        ("/a/b?c=d&e=%2F", "/a/b?c=d&e=%2F"),
        ("/a?b=c#old", "/a?b=c"),
        ("/a#/route?b#c", "/a"),
        ("/a#qq_login=ok", "/a"),
        ("/中", "/%E4%B8%AD"),
    ] {
        let login = popup_to(&format!("{TRUSTED}{page}"));
        let mut browser = site.browser();
        site.qq.fault(Endpoint::Token, 1, REJECTED);
        let failure = browser.sign_in(&site.qq, &login).await;
        let expected = format!("{TRUSTED}{end}#qq_login=code_rejected");
        assert_eq!(failure.location(), expected);
        assert_eq!(browser.whoami().await, Value::Null);
        let success = browser.sign_in(&site.qq, &login).await;
        assert_eq!(success.location(), format!("{TRUSTED}{end}#qq_login=ok"));
        assert_ne!(browser.whoami().await, Value::Null);
        assert_eq!(browser.pending_logins(), 0);
    }
    // Without a popup nothing is appended.
    let login = popup_to(PAGE).replace("popup=1&", "");
    let end = site.browser().sign_in(&site.qq, &login).await;
    assert_eq!(end.location(), PAGE);
}

#[tokio::test]
async fn a_failure_that_ends_at_a_trusted_origin_is_in_the_log() {
    let site = site_with_front_end();
    let log = Log::start();
    let mut replies = Vec::new();
    let mut browser = site.browser();
    let start = browser.get(&popup_to(PAGE)).await;
    let callback = path(&site.qq.cancel(start.location()).unwrap());
    replies.push((browser.get(&callback).await, "cancelled"));
    site.qq.fault(Endpoint::Token, 1, Fault::CutBody);
    let failure = browser.sign_in(&site.qq, &popup_to(PAGE)).await;
    replies.push((failure, "qq_unavailable"));
    let callback = browser.callback_from(&site.qq, &popup_to(PAGE)).await;
    site.clock.advance(Duration::from_secs(11 * 60));
    replies.push((browser.get(&callback).await, "invalid_state"));
    // At the start.
    let bind = format!("{}&intent=bind", popup_to(PAGE));
    let mut front_end = site.browser().header("sec-fetch-site", "same-site");
    replies.push((front_end.get(&bind).await, "refused"));
    let mut own = site.browser().header("sec-fetch-site", "same-origin");
    replies.push((own.get(&bind).await, "login_required"));
    for (reply, code) in replies {
        assert_eq!(reply.location(), format!("{PAGE}#qq_login={code}"));
        assert_eq!(reply.header("cache-control"), "no-store");
        let support_code = support_code(&reply);
        assert!(log.text().contains(support_code), "{code}: {}", log.text());
    }
}

#[tokio::test]
async fn a_script_gets_json() {
    let site = site_with_front_end();
    let login = popup_to(PAGE);
    let script = site.browser().program().header("origin", TRUSTED);
    let script = script.header("sec-fetch-site", "same-site");
    let mut script = script.header("sec-fetch-mode", "cors");
    let mut window = site.browser();
    let bind = format!("{login}&intent=bind");
    script.get(&bind).await.assert_failed(401, "login_required");
    for login in [&login, &bind] {
        let start = script.get(login).await;
        assert_eq!(start.status, StatusCode::OK, "{}", start.body);
        let start: Value = serde_json::from_str(&start.body).unwrap();
        let url = start["authorize_url"].as_str().unwrap();
        window.jar = script.jar.clone();
        let end = window.get(&path(&site.qq.approve(url).unwrap())).await;
        assert_eq!(end.location(), format!("{PAGE}#qq_login=ok"));
        script.jar = window.jar.clone();
    }
    for login in [LOGIN, &login] {
        site.qq.fault(Endpoint::Token, 1, REJECTED);
        let end = site.browser().program().sign_in(&site.qq, login).await;
        end.assert_failed(400, "code_rejected");
    }
}

#[tokio::test]
async fn a_popup_whose_origin_is_no_longer_trusted_ends_at_a_page_of_the_layer() {
    let site = site_with_front_end();
    let clock = site.clock.clone();
    let layer = builder(&site.qq).clock(move || clock.now());
    let changed = pages().layer(layer.build().unwrap());
    let mut browser = site.browser();
    let callbacks = [
        browser.callback_from(&site.qq, &popup_to(PAGE)).await,
        browser.callback_from(&site.qq, &popup_to(PAGE)).await,
    ];
    browser.router = changed;
    site.qq.fault(Endpoint::Token, 1, REJECTED);
    let page = browser.get(&callbacks[0]).await;
    assert_eq!(outcome(&page), "code_rejected");
    let url = "/auth/qq/login?popup=1";
    assert_eq!(links(&page), [("重新登录", url), ("返回首页", "/")]);
    let page = browser.get(&callbacks[1]).await;
    assert_eq!((page.status, outcome(&page)), (StatusCode::OK, "ok"));
    assert_eq!(links(&page), [("继续", "/")]);
}
