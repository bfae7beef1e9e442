//! Pages that require a user, and logout.

use http::{Method, StatusCode};
use serde_json::Value;

use crate::site::{SESSION, Site};

type Headers<'h> = &'h [(&'h str, &'h str)];

#[tokio::test]
async fn a_login_from_a_protected_page_returns_to_it() {
    let site = Site::new();
    let mut browser = site.browser();
    let redirect = browser.get("/deep/page?tab=%E4%B8%AD&x=1").await;
    let login = redirect.location().to_owned();
    assert_eq!(
        login,
        "/auth/qq/login?return_to=/deep/page%3Ftab%3D%25E4%25B8%25AD%26x%3D1"
    );
    let end = browser.sign_in(&site.qq, &login).await;
    assert_eq!(end.location(), "/deep/page?tab=%E4%B8%AD&x=1");
    assert_eq!(browser.get(end.location()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn navigations_are_redirected_and_other_requests_get_401() {
    let cases: [(&str, Headers<'_>, u16); 9] = [
        ("GET", &[], 303),
        ("HEAD", &[], 303),
        (
            "GET",
            &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
            303,
        ),
        (
            "GET",
            &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            401,
        ),
        (
            "GET",
            &[
                ("sec-fetch-mode", "websocket"),
                ("sec-fetch-dest", "websocket"),
            ],
            401,
        ),
        ("GET", &[("accept", "*/*")], 401),
        ("GET", &[("accept", "application/json")], 401),
        ("GET", &[("accept", "application/json, text/html;q=0")], 401),
        ("GET", &[("accept", "TEXT/HTML;q=0.1")], 303),
    ];
    for (method, headers, status) in cases {
        let mut browser = Site::new().browser();
        for &(name, value) in headers {
            browser.headers.insert(name, value.parse().unwrap());
        }
        let reply = browser.send(method.parse().unwrap(), "/me").await;
        assert_eq!(reply.status.as_u16(), status, "{method} {headers:?}");
        assert_eq!(reply.header("cache-control"), "no-store");
        if status == 401 {
            let problem = reply.problem();
            assert_eq!(problem["code"], "login_required");
            assert_eq!(problem["login_url"], "/auth/qq/login");
            assert_eq!(
                reply.header("www-authenticate"),
                "QQ login_url=\"/auth/qq/login\""
            );
        }
    }
}

#[tokio::test]
async fn a_frame_gets_a_page_instead_of_a_redirect() {
    let browser = Site::new().browser();
    let browser = browser.header("sec-fetch-mode", "navigate");
    let reply = browser.header("sec-fetch-dest", "iframe").get("/me").await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    let link = "href=\"/auth/qq/login?return_to=/me\"";
    assert!(reply.body.contains(link), "{reply:?}");
}

#[tokio::test]
async fn a_form_gets_a_page_in_its_language_instead_of_a_redirect() {
    let site = Site::new();
    let reply = site.browser().post("/form").await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert!(reply.body.contains("请先登录"));
    assert!(reply.body.contains("href=\"/auth/qq/login\""));
    let reply = site
        .browser()
        .header("accept-language", "en")
        .post("/form")
        .await;
    assert!(reply.body.contains("Please sign in"));
    assert_eq!(
        site.browser().program().post("/form").await.problem()["code"],
        "login_required"
    );

    let openid = site.qq.people()[0].openid.clone();
    assert_eq!(site.signed_in().await.post("/form").await.body, openid);
}

#[tokio::test]
async fn a_logout_leads_browsers_on_and_answers_programs_without_a_body() {
    let fetch: Headers<'_> = &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
    let form: Headers<'_> = &[
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    let cases: [(&str, Headers<'_>, u16); 8] = [
        ("text/html,*/*;q=0.8", form, 303),
        ("*/*", form, 303),
        // A browser from before 2023.
        ("text/html,*/*;q=0.8", &[], 303),
        ("*/*", fetch, 204),
        ("text/html", fetch, 204),
        ("application/json", fetch, 204),
        // curl, and an app of a phone.
        ("*/*", &[], 204),
        ("application/json", &[], 204),
    ];
    let site = Site::new();
    for (accept, headers, status) in cases {
        let mut browser = site.signed_in().await.header("accept", accept);
        for &(name, value) in headers {
            browser.headers.insert(name, value.parse().unwrap());
        }
        if !headers.is_empty() {
            browser = browser.header("sec-fetch-site", "same-origin");
        }
        let reply = browser.post("/auth/qq/logout?return_to=/bye").await;
        let case = format!("{accept} {headers:?}: {reply:?}");
        assert_eq!(reply.status.as_u16(), status, "{case}");
        let location = reply.headers.get("location");
        let expected = (status == 303).then_some("/bye");
        assert_eq!(location.map(|it| it.to_str().unwrap()), expected, "{case}");
        assert_eq!(reply.body, "", "{case}");
        assert!(!reply.headers.contains_key("content-type"), "{case}");
        let removed = format!("{SESSION}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0");
        assert_eq!(reply.cookies(), [removed], "{case}");
        assert_eq!(browser.whoami().await, Value::Null, "{case}");
    }
}

#[tokio::test]
async fn get_requests_do_not_sign_out() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    assert_eq!(
        browser.send(Method::GET, "/auth/qq/logout").await.status,
        405
    );
    assert_ne!(browser.whoami().await, Value::Null);
}

#[tokio::test]
async fn login_and_logout_paths_can_be_changed() {
    let site = Site::with(
        |app| app,
        |layer| layer.login_path("/signin").logout_path("/signout"),
    );
    let mut browser = site.browser();
    assert_eq!(
        browser.get("/auth/qq/login").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(browser.get("/me").await.location(), "/signin?return_to=/me");
    assert_eq!(
        browser
            .sign_in(&site.qq, "/signin?return_to=/signin")
            .await
            .location(),
        "/"
    );
    assert_eq!(browser.post("/signout").await.location(), "/");
}
