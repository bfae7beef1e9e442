//! Failure pages, the login button, QQ's error codes and the start of a login.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tower::ServiceExt;
use tower_qq_auth::{
    Language, LoginError, LoginErrorKind,
    codes::{QqCode, Responsible},
    hooks::Failure,
    html::login_button,
    mock::{Endpoint, Fault},
};

use crate::site::{self, Site};

/// A site with this failure page.
fn site_with_page(page: impl Fn(&Failure<'_>) -> Response<String> + Send + Sync + 'static) -> Site {
    Site::with(|app| app, |layer| layer.failure_page(page))
}

#[tokio::test]
async fn the_failure_page_of_the_app_gets_all_details() {
    type Details = (
        Language,
        u16,
        &'static str,
        String,
        Option<String>,
        LoginErrorKind,
    );
    let failures: Arc<Mutex<Vec<Details>>> = Arc::default();
    let log = failures.clone();
    let site = site_with_page(move |failure| {
        log.lock().unwrap().push((
            failure.language(),
            failure.status().as_u16(),
            failure.code(),
            failure.url().to_owned(),
            failure.support_code().map(String::from),
            failure.error().kind(),
        ));
        let text = [failure.title(), failure.text(), failure.button()];
        Response::builder()
            .status(200)
            .body(text.join("|"))
            .unwrap()
    });
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100032));
    let mut browser = site.browser();
    let busy = browser
        .sign_in(&site.qq, "/auth/qq/login?return_to=/x")
        .await;
    assert_eq!(
        busy.status,
        StatusCode::FAILED_DEPENDENCY,
        "the layer sets the status"
    );
    assert_eq!(busy.header("retry-after"), "5");
    assert_eq!(busy.header("content-type"), "text/html; charset=utf-8");
    assert!(busy.body.starts_with("QQ 正忙|QQ "), "{}", busy.body);
    assert!(busy.body.ends_with("|重新登录"));
    let mut english = browser.header("accept-language", "en");
    assert!(
        english
            .post("/form")
            .await
            .body
            .starts_with("Please sign in|")
    );
    let mut foreign = english.header("sec-fetch-site", "cross-site");
    foreign.post("/auth/qq/logout").await;

    let failures = failures.lock().unwrap();
    let (zh, en) = (Language::Chinese, Language::English);
    let support_code = failures[0].4.clone();
    assert_eq!(support_code.as_ref().map(String::len), Some(8));
    let retry = "/auth/qq/login?return_to=/x".to_owned();
    let busy = (
        zh,
        424,
        "qq_busy",
        retry,
        support_code,
        LoginErrorKind::QqBusy,
    );
    let home = "/auth/qq/login".to_owned();
    let required = (
        en,
        401,
        "login_required",
        home,
        None,
        LoginErrorKind::LoginRequired,
    );
    let cross = (
        en,
        403,
        "cross_site",
        "/".to_owned(),
        None,
        LoginErrorKind::CrossSite,
    );
    assert_eq!(failures[..], [busy, required, cross]);
}

#[tokio::test]
async fn a_page_of_the_app_keeps_its_headers_except_the_protective_ones() {
    let site = site_with_page(|_| {
        Response::builder()
            .header("content-type", "text/html; charset=gbk")
            .header("content-security-policy", "default-src 'self'")
            .header("content-security-policy", "frame-ancestors 'self'")
            .header("link", "</a.css>; rel=preload")
            .header("link", "</b.css>; rel=preload")
            .header("cache-control", "public, max-age=600")
            .header("referrer-policy", "unsafe-url")
            .header("x-content-type-options", "sniff")
            .body(String::new())
            .unwrap()
    });
    let page = site.browser().get("/auth/qq/callback").await;
    let all = |name: &str| -> Vec<_> {
        let values = page.headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    };
    assert_eq!(all("content-type"), ["text/html; charset=gbk"]);
    let policies = ["default-src 'self'", "frame-ancestors 'self'"];
    assert_eq!(all("content-security-policy"), policies);
    assert_eq!(all("link").len(), 2);
    assert_eq!(all("cache-control"), ["no-store"]);
    assert_eq!(all("referrer-policy"), ["no-referrer"]);
    assert_eq!(all("x-content-type-options"), ["nosniff"]);

    let bare = site_with_page(|_| Response::new(String::new()));
    let page = bare.browser().get("/auth/qq/callback").await;
    assert_eq!(
        page.header("content-security-policy"),
        "frame-ancestors 'none'"
    );
}

#[tokio::test]
async fn a_page_that_panics_is_replaced_by_the_default_page() {
    let site = site_with_page(|_| panic!("no template"));
    let page = site.browser().get("/auth/qq/callback").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("没有正在进行的登录"), "{}", page.body);
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
}

#[tokio::test]
async fn the_failure_page_does_not_change_the_json_for_programs() {
    let site = site_with_page(|_| Response::new("page".into()));
    let reply = site.browser().program().get("/auth/qq/callback").await;
    reply.assert_failed(400, "invalid_state");
}

#[tokio::test]
async fn the_error_in_the_extensions_has_the_support_code_of_the_page() {
    let site = Site::new();
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100020));
    let mut browser = site.browser();
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    let (name, value) = browser.jar.first_key_value().unwrap();
    let request = Request::get(callback)
        .header("accept", "text/html")
        .header("cookie", format!("{name}={value}"));
    let request = request.body(Body::empty()).unwrap();
    let (head, body) = site.router.oneshot(request).await.unwrap().into_parts();
    let error = head.extensions.get::<LoginError>().unwrap();
    assert_eq!(error.kind(), LoginErrorKind::CodeRejected);
    assert_eq!(
        (error.qq_code(), error.step()),
        (Some(100020), Some("token"))
    );
    let page = body.collect().await.unwrap().to_bytes();
    let shown = format!("<code>{}</code>", error.support_code().unwrap());
    assert!(String::from_utf8_lossy(&page).contains(&shown));
}

#[test]
fn the_button_is_a_text_link_with_an_escaped_url() {
    let layer = site::layer(&site::qq());
    let url = layer.login_url("/cart?a=1&b=\"2\"");
    let button = login_button(&url, Language::English).unwrap();
    assert!(button.contains("href=\"/auth/qq/login?return_to=/cart%3Fa%3D1%26b%3D%222%22\""));
    assert!(button.contains("lang=\"en\"") && button.ends_with(">Sign in with QQ</a>"));
    assert_eq!(layer.login_url("//evil.example"), "/auth/qq/login");
    let odd = login_button("/\"><script>'&", Language::Chinese).unwrap();
    assert!(
        odd.contains("href=\"/&quot;&gt;&lt;script&gt;&#x27;&amp;\""),
        "{odd}"
    );
    assert!(odd.contains("lang=\"zh-CN\"") && odd.ends_with(">QQ登录</a>"));
}

#[test]
fn the_button_rejects_a_url_that_is_not_a_path_of_the_site() {
    for url in [
        "",
        "login",
        "\"><script>'&",
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "javascript:alert(1)",
    ] {
        let error = login_button(url, Language::English).unwrap_err();
        assert!(error.to_string().starts_with("login URL "), "{error}");
    }
}

#[test]
fn qq_codes_explain_the_cause_the_responsible_party_and_the_remedy() {
    use LoginErrorKind::{CodeRejected, Misconfigured, NotApproved, QqBusy, QqUnavailable};
    let cases = [
        (
            100020,
            CodeRejected,
            Responsible::User,
            "the code was used before",
        ),
        (
            100067,
            CodeRejected,
            Responsible::User,
            "the code has expired",
        ),
        (
            100009,
            Misconfigured,
            Responsible::Operator,
            "client_secret is illegal",
        ),
        (
            100048,
            Misconfigured,
            Responsible::Operator,
            "the app has no right to the UnionID",
        ),
        (
            110406,
            NotApproved,
            Responsible::Operator,
            "the app is not approved",
        ),
        (100062, QqBusy, Responsible::Qq, "too many requests"),
        (
            100050,
            QqUnavailable,
            Responsible::Qq,
            "the openid does not belong to this app",
        ),
    ];
    for (number, kind, responsible, what) in cases {
        let code = QqCode::find(number).unwrap();
        assert_eq!(
            (code.code(), code.kind(), code.responsible()),
            (number, kind, responsible)
        );
        assert_eq!(code.what(Language::English), what);
    }
    for code in QqCode::all() {
        let chinese = code.what(Language::Chinese).to_owned() + code.advice(Language::Chinese);
        assert!(!chinese.is_ascii(), "{code:?}");
        assert!(code.what(Language::English).is_ascii(), "{code:?}");
        assert!(code.advice(Language::English).is_ascii(), "{code:?}");
        assert_eq!(QqCode::find(code.code()), Some(code));
    }
    assert_eq!(QqCode::find(0), None);
    assert_eq!(QqCode::find(i64::MIN), None);
}

#[tokio::test]
async fn a_program_that_accepts_json_gets_the_authorize_url_as_json() {
    let site = Site::new();
    let cases = [
        ("application/json", true),
        ("application/json, text/plain, */*", true),
        ("application/JSON;q=0.5", true),
        ("*/*", false),
        ("application/json;q=0", false),
        ("text/html,application/json", false),
        ("text/html,application/xhtml+xml,*/*;q=0.8", false),
    ];
    for (accept, json) in cases {
        let mut browser = site.browser().header("accept", accept);
        let start = browser.get("/auth/qq/login?return_to=/x").await;
        assert_eq!(browser.pending_logins(), 1, "{accept}");
        assert_eq!(start.header("cache-control"), "no-store");
        if !json {
            assert!(
                start.location().starts_with("https://graph.qq.com/"),
                "{accept}"
            );
            continue;
        }
        assert_eq!(start.status, StatusCode::OK, "{accept}");
        assert_eq!(start.header("content-type"), "application/json");
        assert_eq!(start.cookies().len(), 1);
        let answer: Value = serde_json::from_str(&start.body).unwrap();
        let callback = site
            .qq
            .approve(answer["authorize_url"].as_str().unwrap())
            .unwrap();
        let mut page = browser.header("accept", "text/html");
        assert_eq!(page.get(&site::path(&callback)).await.location(), "/x");
    }
    let navigation = site.browser().header("sec-fetch-mode", "navigate");
    let start = navigation.program().get("/auth/qq/login").await;
    assert!(
        start.location().starts_with("https://"),
        "a navigation is redirected"
    );
}

#[tokio::test]
async fn the_page_for_a_callback_without_cookies_names_cause_and_remedy() {
    let site = Site::new();
    for (language, cause, remedy) in [
        ("zh-CN", "当前浏览器禁用了 Cookie", "请允许本站使用 Cookie"),
        (
            "en",
            "your browser blocks cookies",
            "allow cookies for this site",
        ),
    ] {
        let mut browser = site.browser().header("accept-language", language);
        let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
        browser.jar.clear();
        let page = browser.get(&callback).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(page.body.contains(cause), "{}", page.body);
        assert!(page.body.contains(remedy), "{}", page.body);
        let mut program = browser.clone().program();
        let reply = program.get(&callback).await;
        reply.assert_failed(400, "invalid_state");

        // Any cookie shows that the browser accepts cookies.
        browser.jar.insert("theme".into(), "dark".into());
        let page = browser.get(&callback).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(!page.body.contains(cause), "{}", page.body);
    }
    assert_eq!(site.qq.calls(Endpoint::Token), 0);
}

#[tokio::test]
async fn markup_in_return_to_is_escaped() {
    let site = Site::new();
    let odd = "/x?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E'%3C";
    for given in [
        utf8_percent_encode(odd, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode("/x?q=\"><script>alert(1)</script>'<", NON_ALPHANUMERIC).to_string(),
    ] {
        let login = format!("/auth/qq/login?return_to={given}");
        let mut browser = site.browser();
        let callback = browser.callback_from(&site.qq, &login).await;
        site.qq.fault(Endpoint::Token, 1, Fault::Code(100_020));
        let page = browser.get(&callback).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(!page.body.contains("<script"), "{}", page.body);
        assert!(!page.body.contains("alert(1)"), "{}", page.body);
        assert_eq!(page.body.matches("href=").count(), 2, "{}", page.body);
    }
}
