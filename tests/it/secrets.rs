//! Secrets appear in no response, log line, error or debug output.

use std::{error::Error, sync::Mutex, time::Duration};

use axum::{Extension, Router, routing::get};
use http::{HeaderMap, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tower::{BoxError, Layer};
use tower_qq_auth::{
    LoginErrorKind, OpenId, QqApp, QqAppBuilder, QqAuthLayer, QqAuthLayerBuilder, QqClient,
    QqLogin, QqSession, QqTokens, QqUser, SessionKeys, Verdict,
    hooks::Failure,
    mock::{Endpoint, Fault},
};

use crate::site::{APP_ID, Browser, CALLBACK, Clock, LOGIN, Reply, Site, pages, param};

mod canaries;
#[cfg(feature = "metrics")]
mod labels;
mod phone;
#[cfg(feature = "redis")]
mod redis_url;

use self::canaries::{
    ACCESS, CODE, KEY, Log, OPENID, PAGE, REFRESH, SECRETS, assert_hidden, keys, plant, secret_app,
    secret_qq, token,
};

type Configure = fn(QqAuthLayerBuilder) -> QqAuthLayerBuilder;

fn secret_site(app: QqAppBuilder, configure: Configure) -> Site {
    let (qq, clock) = (secret_qq(), Clock::new());
    let client = QqClient::with_service(app.build().unwrap(), qq.clone());
    let time = clock.clone();
    let builder = QqAuthLayer::builder(client, keys()).clock(move || time.now());
    let builder = configure(builder);
    assert_hidden(&format!("{builder:?} {builder:#?}"), SECRETS);
    let layer = builder.build().unwrap();
    let shown = format!("{layer:?} {layer:#?} {:?}", layer.layer(()));
    assert_hidden(&shown, SECRETS);
    // The handler prints its arguments. It also answers the callback if the layer forwards it.
    let show = get(
        async |user: Option<QqUser>,
               session: Option<QqSession>,
               tokens: Option<Extension<QqTokens>>,
               login: Option<Extension<QqLogin>>| {
            format!("{user:?} {session:?} {session:#?} {tokens:?} {login:?}")
        },
    );
    let more = Router::new()
        .route("/shown", show.clone())
        .route("/auth/qq/callback", show);
    let router = pages().merge(more).layer(layer);
    Site { qq, router, clock }
}

/// Returns the text of a reply. Its headers are as a log shows them.
fn shown(reply: &Reply) -> String {
    format!("{:?} {:?} {}", reply.status, reply.headers, reply.body)
}

/// Logs in with `CODE`, visits some pages and logs out. Fails if a secret appears, including the
/// state and cookies of this login. Returns all output.
async fn log_in(site: &Site, mut browser: Browser) -> String {
    let log = Log::start();
    let mut output = String::new();
    let start = browser
        .clone()
        .header("accept", "text/html")
        .get("/auth/qq/login?return_to=/deep/page")
        .await;
    for cookie in start.cookies() {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        browser.jar.insert(name.into(), value.into());
    }
    let mut cookie_values: Vec<_> = browser.jar.values().cloned().collect();
    let state = param(start.location(), "state").to_owned();
    let mut set_cookies = start.cookies().concat();
    assert_eq!(start.location().matches(&state).count(), 1);
    assert_hidden(start.location(), SECRETS);
    output += &shown(&start);

    let code = utf8_percent_encode(CODE, NON_ALPHANUMERIC);
    let callback = format!("/auth/qq/callback?code={code}&state={state}");
    for page in [&callback, &callback, "/shown", "/", "/me", "/missing"] {
        let reply = browser.get(page).await;
        cookie_values.extend(browser.jar.values().cloned());
        set_cookies += &reply.cookies().concat();
        output += &shown(&reply);
        if page == "/shown" {
            // More than half of the idle time, so that the next request renews the session.
            site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
        }
    }
    assert_eq!(browser.pending_logins(), 0);
    let reply = browser.post("/auth/qq/logout").await;
    output += &shown(&reply);

    let mut secrets = SECRETS.to_vec();
    secrets.push(&state);
    let lines = log.text();
    assert_hidden(&set_cookies, &secrets);
    secrets.extend(cookie_values.iter().map(String::as_str));
    assert_hidden(&output, &secrets);
    assert_hidden(&lines, &secrets);
    assert!(!lines.contains("http://"), "{lines}");
    output + &lines
}

/// Every kind of bad response from QQ, with the secrets in it.
fn faults() -> Vec<Fault> {
    let page = |status: u16| {
        let location = format!("http://evil.example/?client_secret={KEY}");
        let page = Response::builder()
            .status(status)
            .header("location", location);
        Fault::from(page.body(PAGE).unwrap())
    };
    let reply = |body: String| Fault::from(Response::new(body));
    let echo = format!("{KEY} {CODE} {ACCESS} {REFRESH} {PAGE}");
    vec![
        page(200),
        page(201),
        page(302),
        page(403),
        page(429),
        page(500),
        page(503),
        Fault::Silence,
        Fault::CutBody,
        Fault::Drip(Duration::from_secs(1)),
        reply(json!({ "error": 100009, "error_description": echo }).to_string()),
        reply(json!({ "error": 100020, "error_description": echo }).to_string()),
        reply(json!({ "error": 100048, "error_description": echo }).to_string()),
        reply(json!({ "error": echo }).to_string()),
        reply(json!({ "ret": -22, "msg": echo }).to_string()),
        reply(json!({ "access_token": [ACCESS], "openid": [ACCESS] }).to_string()),
        reply(json!({ "access_token": ACCESS, "openid": ACCESS }).to_string()),
        reply(json!({ "client_id": KEY, "openid": OPENID }).to_string()),
        reply(json!({ "client_id": APP_ID, "openid": OPENID, "unionid": ACCESS }).to_string()),
        reply(format!("callback( {{\"access_token\":\"{ACCESS}\" }};")),
        reply(format!("access_token={ACCESS}")),
        reply(PAGE.repeat(10_000)),
    ]
}

/// Logs in with every configuration and every fault at every step. Returns all output.
async fn matrix() -> String {
    let configurations: [Configure; 4] = [
        |layer| layer,
        |layer| {
            let page =
                |failure: &Failure<'_>| Response::new(format!("<p>{failure:?} {failure:#?}</p>"));
            layer.forward_callback().keep_tokens().failure_page(page)
        },
        |layer| layer.without_session(),
        |layer| {
            let allow = async |login: QqLogin, _| {
                tracing::trace!("the hook of the app: {login:?}");
                Ok::<_, BoxError>(Verdict::allow())
            };
            layer.keep_tokens().on_login(allow)
        },
    ];
    let mut output = String::new();
    for (number, configure) in configurations.into_iter().enumerate() {
        let app = match number {
            0 => secret_app().require_profile(),
            _ => secret_app(),
        };
        let site = secret_site(app, configure);
        plant(&site.qq);
        output += &log_in(&site, site.browser()).await;
        for endpoint in [Endpoint::Token, Endpoint::Me, Endpoint::UserInfo] {
            for fault in &faults() {
                site.qq.clear_faults().fault(endpoint, 2, fault.clone());
                plant(&site.qq);
                let browser = match number {
                    3 => site.browser().program(),
                    _ => site.browser(),
                };
                output += &log_in(&site, browser).await;
            }
        }
    }
    output
}

#[tokio::test(start_paused = true)]
async fn no_log_line_and_no_response_contains_a_secret() {
    let output = matrix().await;
    let count = |text: &str| output.matches(text).count();
    for text in [
        "outcome=\"ok\"",
        "login ended: qq_unavailable",
        " WARN ",
        "ERROR ",
        "the hook of the app: QqLogin",
        "Some(Extension(QqTokens",
        "Some(QqSession",
        "Some(Extension(QqLogin",
        "<p>Failure",
        "\"support_code\"",
    ] {
        assert!(count(text) > 4, "{text} appears {} times", count(text));
    }
}

#[tokio::test]
async fn header_values_with_a_cookie_or_a_state_are_marked_sensitive() {
    let site = secret_site(secret_app(), |layer| layer);
    let mut browser = site.browser();
    let start = browser.get("/auth/qq/login").await;
    assert!(start.headers["location"].is_sensitive());
    let state = param(start.location(), "state");
    plant(&site.qq);
    let callback = format!("/auth/qq/callback?code=C&state={state}");
    let end = browser.get(&callback).await;
    assert_eq!(
        end.cookies().len(),
        2,
        "the session, and the end of the login"
    );
    assert!(!end.headers["location"].is_sensitive());
    site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
    let renewed = browser.get("/whoami").await;
    let logout = browser.post("/auth/qq/logout").await;
    for reply in [start, end, renewed, logout] {
        assert!(!reply.cookies().is_empty());
        let mut cookies = reply.headers.get_all("set-cookie").iter();
        assert!(cookies.all(|value| value.is_sensitive()), "{reply:?}");
    }
}

#[tokio::test]
async fn the_app_gets_the_layer_s_cookies_marked_sensitive() {
    let show = get(async |headers: HeaderMap| {
        let cookies = headers.get_all("cookie").iter();
        let marks: Vec<_> = cookies.map(|value| value.is_sensitive()).collect();
        format!("{marks:?} {}", headers["accept"].is_sensitive())
    });
    let pages = |_: &_| {
        Router::new()
            .route("/marks", show.clone())
            .route("/auth/qq/callback", show)
    };
    let site = Site::with_pages(pages, |layer| layer.forward_callback());
    let mut browser = site.browser();
    browser
        .headers
        .append("cookie", "theme=dark".parse().unwrap());
    assert_eq!(browser.get("/marks").await.body, "[false] false");
    let callback = browser.callback_from(&site.qq, "/auth/qq/login").await;
    assert_eq!(browser.get("/marks").await.body, "[false, true] false");
    assert_eq!(browser.get(&callback).await.body, "[false, true] false");
    assert_ne!(browser.whoami().await, serde_json::Value::Null);
    assert_eq!(browser.get("/marks").await.body, "[false, true] false");
    browser.jar.clear();
    let forged = "x=1; __Host-qq_session=forged".parse().unwrap();
    browser.headers.insert("cookie", forged);
    assert_eq!(browser.get("/marks").await.body, "[true] false");
}

#[tokio::test]
async fn a_rejected_callback_is_not_quoted() {
    let log = Log::start();
    let mut output = String::new();
    let site = secret_site(secret_app(), |layer| layer);
    for query in [
        format!("code={CODE}&state=canary"),
        "usercancel=canary&state=canary".into(),
        "code=canary&code=canary".into(),
        "error=canary&error_description=canary&state=".into(),
    ] {
        let query = query.replace('%', "%25");
        for browser in [site.browser(), site.browser().program()] {
            let mut browser = browser;
            let _ = browser.get("/auth/qq/login?return_to=/canary").await;
            browser.jar.insert(format!("{LOGIN}x"), "canary".into());
            let reply = browser.get(&format!("/auth/qq/callback?{query}")).await;
            output += &shown(&reply);
        }
    }
    assert!(log.text().contains("login ended: invalid_state"));
    assert_hidden(&output, SECRETS);
    assert_hidden(&log.text(), SECRETS);
}

#[tokio::test]
async fn a_panicking_hook_reveals_no_secret() {
    static PANICS: Mutex<String> = Mutex::new(String::new());
    const MARK: &str = "the hook of this test: ";
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        match panic.payload().downcast_ref::<String>() {
            Some(text) if text.starts_with(MARK) => PANICS.lock().unwrap().push_str(text),
            _ => before(panic),
        }
    }));
    let site = secret_site(secret_app(), |layer| {
        let page = |failure: &Failure<'_>| -> Response<String> { panic!("{MARK}{failure:?}") };
        let hook = async |login: QqLogin, _| -> Result<Verdict, BoxError> {
            panic!("{MARK}{login:?} {:?}", login.tokens())
        };
        layer.on_login(hook).failure_page(page)
    });
    plant(&site.qq);
    let output = log_in(&site, site.browser()).await;
    assert!(output.contains("the on_login hook failed"), "{output}");
    let panics = PANICS.lock().unwrap().clone();
    assert!(
        panics.contains("QqLogin") && panics.contains("Failure"),
        "{panics}"
    );
    assert_hidden(&panics, SECRETS);
}

#[tokio::test]
async fn debug_output_of_a_response_body_hides_its_content() {
    let request = http::Request::get("/auth/qq/login").header("accept", "application/json");
    let app = tower::Layer::layer(&crate::site::layer(&crate::site::qq()), pages());
    let response =
        tower::ServiceExt::oneshot(app, request.body(axum::body::Body::empty()).unwrap());
    let response = response.await.unwrap();
    let shown = format!("{:?} {:#?}", response.body(), response.body());
    let body = http_body_util::BodyExt::collect(response.into_body())
        .await
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap();
    let state = param(body["authorize_url"].as_str().unwrap(), "state");
    assert_hidden(&shown, &[state]);
}

#[tokio::test]
async fn the_error_of_a_hook_is_one_escaped_log_line() {
    let log = Log::start();
    let site = secret_site(secret_app(), |layer| {
        layer.on_login(async |_, _| Err("坏了\nlogin ended\u{1b}[2J".into()))
    });
    let mut browser = site.browser().program();
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    end.assert_failed(424, "app_failed");
    let lines = log.text();
    let line = lines
        .lines()
        .find(|line| line.contains("the on_login hook failed"));
    assert!(
        line.unwrap().contains(r"坏了\nlogin ended\u{1b}[2J"),
        "{lines}"
    );
}

/// Starts a login and returns the body of the response to its callback.
async fn callback_body(site: &Site) -> String {
    let mut browser = site.browser();
    let start = browser.get("/auth/qq/login").await;
    let state = param(start.location(), "state");
    let callback = format!("/auth/qq/callback?code=C&state={state}");
    browser.get(&callback).await.body
}

#[tokio::test]
async fn qq_cannot_forge_a_log_line() {
    let log = Log::start();
    let site = secret_site(secret_app(), |layer| layer);
    let forged = "\r\nINFO forged\u{1b}[31m";
    let error = json!({ "error": 100009, "error_description": forged }).to_string();
    site.qq.reply(Endpoint::Token, error);
    callback_body(&site).await;
    site.qq.fault(
        Endpoint::Token,
        1,
        Response::builder().status(500).body(forged).unwrap(),
    );
    callback_body(&site).await;
    let lines = log.text();
    assert_eq!(lines.lines().count(), 2, "one for each login: {lines}");
    assert!(
        !lines.contains("forged") && !lines.contains('\u{1b}'),
        "{lines}"
    );
}

#[tokio::test]
async fn the_log_shows_the_qq_code_the_status_and_the_length() {
    let log = Log::start();
    let site = secret_site(secret_app(), |layer| layer);
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100009));
    callback_body(&site).await;
    let page = Response::builder()
        .status(502)
        .body("x".repeat(321))
        .unwrap();
    site.qq.fault(Endpoint::Token, 1, page);
    let page = callback_body(&site).await;
    let lines = log.text();
    let [first, second] = lines.lines().collect::<Vec<_>>()[..] else {
        panic!("{lines}")
    };
    assert!(
        first.contains("ERROR") && first.contains("100009"),
        "{first}"
    );
    assert!(
        second.contains("WARN") && second.contains("502"),
        "{second}"
    );
    assert!(second.contains("321"), "{second}");
    let code = second.split_once("support_code=\"").unwrap().1;
    let code = code.split_once('"').unwrap().0;
    assert!(
        page.contains(code),
        "the page shows {code}, like the log: {page}"
    );
}

#[tokio::test]
async fn errors_and_debug_output_hide_secrets() {
    let (qq, builder) = (secret_qq(), secret_app());
    let mut shown = format!("{builder:?} {builder:#?}");
    let app = builder.build().unwrap();
    let client = QqClient::with_service(app.clone(), qq.clone());
    shown += &format!("{app:?} {app:#?} {client:?} {client:#?}");
    let keys = keys();
    shown += &format!("{keys:?} {keys:#?}");
    plant(&qq);
    let login = client.login(CODE).await.unwrap();
    let tokens = login.tokens();
    assert_eq!(tokens.access_token(), ACCESS);
    assert_eq!(tokens.refresh_token(), Some(REFRESH));
    shown += &format!("{tokens:?} {tokens:#?} {login:?} {login:#?}");

    let openid = OpenId::new(OPENID).unwrap();
    for body in [PAGE, r#"{"error":100020,"error_description":"canary"}"#] {
        qq.reply(Endpoint::Token, body).reply(Endpoint::Token, body);
        qq.reply(Endpoint::UserInfo, body);
        let errors = [
            client.login(CODE).await.unwrap_err(),
            client.refresh(tokens).await.unwrap_err(),
            client.user_info(tokens, &openid).await.unwrap_err(),
            client
                .open_api(ACCESS, tokens, &openid, &[])
                .await
                .unwrap_err(),
            client
                .open_api("/unknown", tokens, &openid, &[(CODE, KEY)])
                .await
                .unwrap_err(),
        ];
        for error in errors {
            shown += &format!("{error} {error:?} {error:#?}");
            assert!(error.source().is_none());
        }
    }

    let errors = [
        QqApp::new(APP_ID, "canary key", CALLBACK).unwrap_err(),
        QqApp::new(APP_ID, KEY, "https://user:canary@site.example/x").unwrap_err(),
        secret_app()
            .base_url("https://user:canary@host/")
            .build()
            .unwrap_err(),
        QqApp::builder(APP_ID, "canary key", "https://user:canary@site.example/x")
            .base_url("http://user:canary@host/")
            .build()
            .unwrap_err(),
        SessionKeys::new(b"canary").unwrap_err(),
        SessionKeys::parse("canary!").unwrap_err(),
        SessionKeys::parse("Y2FuYXJ5").unwrap_err(),
    ];
    for error in errors {
        shown += &format!("{error} {error:?} {error:#?}");
    }
    // These values are not secret, so the errors show them, but not the app key next to them.
    let errors = [
        (QqApp::new("10190528O", KEY, CALLBACK), "10190528O"),
        (
            QqApp::new(APP_ID, KEY, "https://site.example/x#top"),
            "https://site.example/x#top",
        ),
        (
            secret_app().base_url("http://plain.example/").build(),
            "http://plain.example/",
        ),
        (secret_app().scope("get user info").build(), "get user info"),
    ];
    for (result, value) in errors {
        let error = result.unwrap_err();
        assert!(error.to_string().contains(value), "{error}");
        shown += &format!("{error} {error:?} {error:#?}");
    }
    assert_hidden(&shown, SECRETS);
}

#[tokio::test]
async fn the_built_in_client_shows_no_url_in_logs_or_errors() {
    let log = Log::start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let qq = secret_qq();
    let server = tokio::spawn(qq.clone().serve(listener));
    let client = QqClient::new(secret_app().base_url(&url).build().unwrap());
    plant(&qq);
    let login = client.login(CODE).await.unwrap();
    let mut shown = format!("{client:?} {login:?}");
    qq.fault(Endpoint::Token, 1, Fault::CutBody)
        .fault(Endpoint::Token, 1, Response::new(PAGE))
        .reply(Endpoint::Token, token())
        .fault(Endpoint::Me, 2, Fault::CutBody);
    for _ in 0..2 {
        let error = client.login(CODE).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
        shown += &format!("{error} {error:?}");
    }
    let without_union_id = client.login(CODE).await.unwrap();
    assert!(without_union_id.user().unionid().is_none());
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    let error = client.login(CODE).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
    shown += &format!("{error} {error:?}");

    assert_hidden(&log.text(), SECRETS);
    assert_hidden(&shown, SECRETS);
    assert!(!format!("{shown} {}", log.text()).contains("/oauth2.0/"));
}
