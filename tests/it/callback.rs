//! The callback: valid, invalid, repeated and forged requests to the path of the redirect URI.

use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use tower::ServiceExt;
use tower_qq_auth::mock::Endpoint;

use crate::site::{LOGIN, SESSION, Site, path};

const CODE: &str = "9A5F6C0D3B2E41F8A7C6D5E4F3B2A190";

#[tokio::test]
async fn rejects_the_state_of_another_browser_without_calling_qq() {
    let site = Site::new();
    let mut attacker = site.browser();
    let callback = attacker.callback_from(&site.qq, "/auth/qq/login").await;
    let mut victim = site.browser().program();
    let legitimate = victim
        .callback_from(&site.qq, "/auth/qq/login?return_to=/x")
        .await;

    victim
        .get(&callback)
        .await
        .assert_failed(400, "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), 0);
    assert_eq!(
        victim.get(&legitimate).await.location(),
        "/x",
        "the victim's login still completes"
    );
}

#[tokio::test]
async fn rejects_altered_and_malformed_states() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let state = crate::site::param(&callback, "state").to_owned();
    let flipped = format!(
        "{}{}",
        &state[..state.len() - 1],
        if state.ends_with('A') { 'B' } else { 'A' }
    );
    let long = "A".repeat(60 * 1024);
    let queries = [
        String::new(),
        "code=C".into(),
        format!("code={CODE}&state="),
        format!("code={CODE}&state={flipped}"),
        format!("code={CODE}&state={}", &state[..state.len() - 1]),
        format!("code={CODE}&state={}", &state[..1]),
        format!("code={CODE}&state={state}A"),
        format!("code={CODE}&state={state}%00"),
        format!("code={CODE}&state=+{state}"),
        format!("code={CODE}&state={}", state.to_lowercase()),
        format!("code={CODE}&state={long}"),
        format!("code={CODE}&state=%FF%FE"),
        // A multi-byte character where the two parts of a state meet.
        format!("code={CODE}&state=%E4%B8%AD{}", &state[3..]),
        format!("code={CODE}&state={state}&state={state}"),
        format!("code={CODE}&state={state}&%73tate=x"),
        format!("code={CODE}&State={state}"),
        format!("usercancel=1&state={flipped}"),
        format!("error=access_denied&state={flipped}"),
    ];
    for query in queries {
        let reply = browser.get(&format!("/auth/qq/callback?{query}")).await;
        reply.assert_failed(400, "invalid_state");
        assert!(
            reply.cookies().is_empty(),
            "no login cookie is cleared: {query}"
        );
    }
    assert_eq!(site.qq.calls(Endpoint::Token), 0);
    assert_eq!(browser.get(&callback).await.location(), "/");
}

#[tokio::test]
async fn a_valid_state_without_a_valid_code_is_an_invalid_callback() {
    let queries = [
        "",
        "&code=",
        "&code=A&code=B",
        "&code=A&code=A",
        "&code=%FF",
        "&code=A%20B",
        "&code=A%0D%0AB",
        "&code=%E4%B8%AD",
    ];
    for query in queries {
        let site = Site::new();
        let mut browser = site.browser().program();
        let callback = browser
            .callback_from(&site.qq, "/auth/qq/login?return_to=/x")
            .await;
        let state = crate::site::param(&callback, "state").to_owned();
        let reply = browser
            .get(&format!("/auth/qq/callback?state={state}{query}"))
            .await;
        reply.assert_failed(400, "invalid_callback");
        assert_eq!(reply.problem()["login_url"], "/auth/qq/login?return_to=/x");
        assert_eq!(site.qq.calls(Endpoint::Token), 0);
        assert_eq!(browser.pending_logins(), 0, "the login cookie is cleared");
    }
}

#[tokio::test]
async fn error_reports_with_a_valid_state_cancel_the_login() {
    let reports = [
        "usercancel=1",
        "usercancel=2&code=ABC",
        "error=access_denied",
        "error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E",
        "msg=redirect%20uri%20is%20illegal",
        "code=ABC&msg=wrong",
    ];
    for report in reports {
        let site = Site::new();
        let mut browser = site.browser();
        let callback = browser
            .callback_from(&site.qq, "/auth/qq/login?return_to=/x")
            .await;
        let state = crate::site::param(&callback, "state").to_owned();
        let uri = format!("/auth/qq/callback?{report}&state={state}");
        let page = browser.clone().get(&uri).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{report}");
        assert!(page.body.contains("href=\"/auth/qq/login?return_to=/x\""));
        assert!(!page.body.contains("<script"));
        assert!(!page.body.contains("access_denied"));
        browser
            .program()
            .get(&uri)
            .await
            .assert_failed(403, "cancelled");
        assert_eq!(site.qq.calls(Endpoint::Token), 0);
    }
}

#[tokio::test]
async fn usercancel_zero_does_not_cancel_the_login() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    assert_eq!(
        browser
            .get(&format!("{callback}&usercancel=0"))
            .await
            .location(),
        "/"
    );
}

#[tokio::test]
async fn cancelling_at_qq_shows_a_page_that_offers_another_login() {
    let site = Site::new();
    let mut browser = site.browser();
    let start = browser.get("/auth/qq/login?return_to=/x").await;
    let callback = path(&site.qq.cancel(start.location()).unwrap());
    let page = browser.get(&callback).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.body.contains("已取消登录"));
    assert_eq!(
        browser
            .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
            .await
            .location(),
        "/x"
    );
}

#[tokio::test]
async fn repeated_callbacks_redirect_signed_in_users_without_calling_qq() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser
        .callback_from(&site.qq, "/auth/qq/login?return_to=/x")
        .await;
    browser.get(&callback).await;
    let session = browser.jar[SESSION].clone();
    for _ in 0..3 {
        let again = browser.get(&callback).await;
        assert_eq!(again.location(), "/");
        assert!(again.cookies().is_empty());
    }
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
    assert_eq!(browser.jar[SESSION], session);

    let mut other = site.browser().program();
    other
        .get(&callback)
        .await
        .assert_failed(400, "invalid_state");
    assert_eq!(site.qq.calls(Endpoint::Token), 1);
}

#[tokio::test]
async fn a_foreign_callback_does_not_replace_a_session() {
    let site = Site::new();
    let mut attacker = site.browser();
    let start = attacker.get("/auth/qq/login").await;
    let other = &site.qq.people()[1];
    let callback = path(&site.qq.approve_as(start.location(), &other.openid).unwrap());
    let mut victim = site.signed_in().await;
    let before = victim.whoami().await;
    assert_eq!(victim.get(&callback).await.location(), "/");
    assert_eq!(victim.whoami().await, before);
}

#[tokio::test]
async fn a_login_expires_after_ten_minutes_but_keeps_its_return_to() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let callback = browser
        .callback_from(&site.qq, "/auth/qq/login?return_to=/x")
        .await;
    site.clock.advance(Duration::from_secs(599));
    assert_eq!(browser.clone().get(&callback).await.location(), "/x");

    site.clock.advance(Duration::from_secs(1));
    let calls = site.qq.calls(Endpoint::Token);
    let late = browser.get(&callback).await;
    late.assert_failed(400, "invalid_state");
    assert_eq!(late.problem()["login_url"], "/auth/qq/login?return_to=/x");
    assert_eq!(site.qq.calls(Endpoint::Token), calls);
}

#[tokio::test]
async fn tolerates_a_clock_that_jumps_back_by_five_minutes() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    site.clock.turn_back(Duration::from_secs(5 * 60));
    assert_eq!(browser.clone().get(&callback).await.location(), "/");
    site.clock.turn_back(Duration::from_secs(1));
    browser
        .program()
        .get(&callback)
        .await
        .assert_failed(400, "invalid_state");
}

#[tokio::test]
async fn rejects_two_values_for_one_login_cookie() {
    let site = Site::new();
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let (name, value) = browser.jar.iter().next().unwrap();
    let get = |cookies: &[String]| {
        let mut request = Request::builder().method(Method::GET).uri(&callback);
        for cookie in cookies {
            request = request.header(header::COOKIE, cookie);
        }
        site.router
            .clone()
            .oneshot(request.body(axum::body::Body::empty()).unwrap())
    };
    let genuine = format!("{name}={value}");
    let planted = format!("{name}=AAAA");
    assert_eq!(
        get(&[genuine.clone(), planted.clone()])
            .await
            .unwrap()
            .status(),
        400
    );
    assert_eq!(
        get(&[format!("{planted}; {genuine}")])
            .await
            .unwrap()
            .status(),
        400
    );
    assert_eq!(site.qq.calls(Endpoint::Token), 0);
    assert_eq!(
        get(&[genuine.clone(), genuine]).await.unwrap().status(),
        303,
        "a repeated equal value is accepted"
    );
}

#[tokio::test]
async fn a_login_cookie_is_valid_under_its_own_name_only() {
    let site = Site::new();
    let mut browser = site.browser().program();
    let first = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let name = browser.jar.keys().next().unwrap().clone();
    let value = browser.jar[&name].clone();
    browser.jar.clear();
    let slot = &name[LOGIN.len()..];
    let other = if slot == "0" { "1" } else { "0" };
    browser.jar.insert(format!("{LOGIN}{other}"), value.clone());
    let renamed = first.replace(&format!("state={slot}"), &format!("state={other}"));
    browser
        .get(&renamed)
        .await
        .assert_failed(400, "invalid_state");
    browser.jar.insert(SESSION.into(), value);
    assert_eq!(browser.whoami().await, serde_json::Value::Null);
}

#[tokio::test]
async fn failures_use_the_accepted_language_and_content_type() {
    let site = Site::new();
    let cases = [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-US,en;q=0.9", "en"),
        ("en;q=0.5,zh;q=0.9", "zh-CN"),
        ("fr,en;q=0.1", "en"),
        ("fr", "zh-CN"),
        ("", "zh-CN"),
    ];
    for (accept, lang) in cases {
        let page = site
            .browser()
            .header("accept-language", accept)
            .get("/auth/qq/callback")
            .await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(
            page.body.contains(&format!("<html lang=\"{lang}\">")),
            "{accept}"
        );
        assert!(page.body.contains("href=\"/auth/qq/login\""));
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; frame-ancestors 'none'"));
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
    for accept in [
        "application/json",
        "*/*",
        "application/problem+json",
        "text/html;q=0",
    ] {
        let reply = site
            .browser()
            .header("accept", accept)
            .get("/auth/qq/callback")
            .await;
        let problem = reply.problem();
        assert_eq!(problem["code"], "invalid_state");
        assert_eq!(problem["login_url"], "/auth/qq/login");
        assert_eq!(problem["support_code"].as_str().unwrap().len(), 8);
    }
}

#[tokio::test]
async fn keeps_the_query_of_a_redirect_uri() {
    use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, mock::MockQq};
    let uri = "https://site.example/auth/qq/callback?tenant=7";
    let qq = MockQq::new("1", "k", uri);
    let client = QqClient::with_service(QqApp::new("1", "k", uri).unwrap(), qq.clone());
    let layer = QqAuthLayer::new(client, crate::site::keys());
    let site = Site {
        router: crate::site::pages().layer(layer),
        qq,
        ..Site::new()
    };
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    assert!(callback.starts_with("/auth/qq/callback?tenant=7&"));
    assert_eq!(browser.get(&callback).await.location(), "/");
}
