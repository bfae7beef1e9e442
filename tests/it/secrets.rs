//! Nothing that is secret can be read anywhere: planted values are looked for in everything that comes out.

use std::{error::Error, sync::Mutex, time::Duration};

use axum::{Extension, Router, routing::get};
use http::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tower::{BoxError, Layer};
use tower_qq_auth::{
    Failure, LoginErrorKind, OpenId, QqApp, QqAuthLayer, QqClient, QqLogin, QqTokens, QqUser,
    SessionKeys, Verdict,
    mock::{Endpoint, Fault},
};

use crate::site::{APP_ID, Browser, CALLBACK, Clock, LOGIN, Reply, Site, pages, param};

#[cfg(feature = "metrics")]
mod labels;
#[cfg(feature = "redis")]
mod lists;
mod planted;

use self::planted::{
    ACCESS, ALL, CODE, KEY, Log, OPENID, PAGE, REFRESH, assert_hidden, keys, plant, secret_app,
    secret_qq, token,
};

type Setting = fn(QqAuthLayer) -> QqAuthLayer;

fn secret_site(app: QqApp, set: Setting) -> Site {
    let (qq, clock) = (secret_qq(), Clock::new());
    let client = QqClient::with_service(app, qq.clone());
    let time = clock.clone();
    let layer = set(QqAuthLayer::with_client(client, keys()).clock(move || time.now()));
    let shown = format!("{layer:?} {layer:#?} {:?}", layer.layer(()));
    assert_hidden(&shown, ALL);
    // What an app that logs its arguments would log; the callback is its own where it wants that.
    let show = get(
        async |user: Option<QqUser>,
               tokens: Option<Extension<QqTokens>>,
               login: Option<Extension<QqLogin>>| format!("{user:?} {tokens:?} {login:?}"),
    );
    let more = Router::new()
        .route("/shown", show.clone())
        .route("/auth/qq/callback", show);
    let router = pages().merge(more).layer(layer);
    Site { qq, router, clock }
}

/// What a reply shows to whoever reads or keeps it: all but the cookies.
fn shown(reply: &Reply) -> String {
    let mut headers = reply.headers.clone();
    headers.remove("set-cookie");
    format!("{:?} {headers:?} {}", reply.status, reply.body)
}

/// A login with the planted code, looked through with the secrets that only this login has. What the browser was told.
async fn login_from(site: &Site, mut browser: Browser) -> String {
    let log = Log::start();
    let mut told = String::new();
    let mut start = browser
        .clone()
        .header("accept", "text/html")
        .get("/auth/qq/login?return_to=/deep/page")
        .await;
    for cookie in start.cookies() {
        let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        browser.jar.insert(name.into(), value.into());
    }
    let mut own: Vec<_> = browser.jar.values().cloned().collect();
    let state = param(start.location(), "state").to_owned();
    let mut cookies = start.cookies().concat();
    // QQ has to be told the state, and nobody else.
    let location = start.headers.remove("location").unwrap();
    assert_eq!(location.to_str().unwrap().matches(&state).count(), 1);
    assert_hidden(location.to_str().unwrap(), ALL);
    told += &shown(&start);

    let code = utf8_percent_encode(CODE, NON_ALPHANUMERIC);
    let callback = format!("/auth/qq/callback?code={code}&state={state}");
    for page in [&callback, &callback, "/shown", "/", "/me", "/missing"] {
        let reply = browser.get(page).await;
        own.extend(browser.jar.values().cloned());
        cookies += &reply.cookies().concat();
        told += &shown(&reply);
        if page == "/shown" {
            site.clock.advance(Duration::from_secs(4 * 24 * 60 * 60));
        }
    }
    assert_eq!(browser.pending_logins(), 0);
    let reply = browser.post("/auth/qq/logout").await;
    told += &shown(&reply);
    own.push(state.clone());

    let mut secrets = ALL.to_vec();
    secrets.extend(own.iter().map(String::as_str));
    let lines = log.text();
    assert_hidden(&told, &secrets);
    assert_hidden(&lines, &secrets);
    assert!(!lines.contains("http://"), "{lines}");
    secrets.truncate(ALL.len());
    secrets.push(&state);
    assert_hidden(&cookies, &secrets);
    told + &lines
}

/// All that can be wrong with an answer of QQ, with the secrets thrown back at us.
fn faults() -> Vec<Fault> {
    let page = |status: u16| {
        let location = format!("http://evil.example/?client_secret={KEY}");
        let page = Response::builder()
            .status(status)
            .header("location", location);
        Fault::from(page.body(PAGE).unwrap())
    };
    let said = |body: String| Fault::from(Response::new(body));
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
        said(json!({ "error": 100009, "error_description": echo }).to_string()),
        said(json!({ "error": 100020, "error_description": echo }).to_string()),
        said(json!({ "error": 100048, "error_description": echo }).to_string()),
        said(json!({ "error": echo }).to_string()),
        said(json!({ "ret": -22, "msg": echo }).to_string()),
        said(json!({ "access_token": [ACCESS], "openid": [ACCESS] }).to_string()),
        said(json!({ "access_token": ACCESS, "openid": ACCESS }).to_string()),
        said(json!({ "client_id": KEY, "openid": OPENID }).to_string()),
        said(json!({ "client_id": APP_ID, "openid": OPENID, "unionid": ACCESS }).to_string()),
        said(format!("callback( {{\"access_token\":\"{ACCESS}\" }};")),
        said(format!("access_token={ACCESS}")),
        said(PAGE.repeat(10_000)),
    ]
}

/// Logins of every kind with every fault at every call.
async fn matrix() -> String {
    let settings: [Setting; 4] = [
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
                Ok::<_, BoxError>(Verdict::Allow)
            };
            layer.keep_tokens().on_login(allow)
        },
    ];
    let mut told = String::new();
    for (number, set) in settings.into_iter().enumerate() {
        let app = secret_app().require_profile(number == 0);
        let site = secret_site(app, set);
        plant(&site.qq);
        told += &login_from(&site, site.browser()).await;
        for endpoint in [Endpoint::Token, Endpoint::Me, Endpoint::UserInfo] {
            for fault in &faults() {
                site.qq.clear_faults().fault(endpoint, 2, fault.clone());
                plant(&site.qq);
                let browser = match number {
                    3 => site.browser().program(),
                    _ => site.browser(),
                };
                told += &login_from(&site, browser).await;
            }
        }
    }
    told
}

#[tokio::test(start_paused = true)]
async fn no_log_line_and_no_answer_holds_a_secret() {
    let told = matrix().await;
    let count = |word: &str| told.matches(word).count();
    for sign in [
        "outcome=\"ok\"",
        "login ended: qq_unavailable",
        " WARN ",
        "ERROR ",
        "the hook of the app: QqLogin",
        "Some(Extension(QqTokens",
        "Some(Extension(QqLogin",
        "<p>Failure",
        "\"support_code\"",
    ] {
        assert!(count(sign) > 4, "it happens: {sign} {}", count(sign));
    }
}

#[tokio::test]
async fn callbacks_that_are_turned_away_are_not_quoted() {
    let log = Log::start();
    let mut told = String::new();
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
            told += &shown(&reply);
        }
    }
    assert!(log.text().contains("login ended: invalid_state"));
    assert_hidden(&told, ALL);
    assert_hidden(&log.text(), ALL);
}

#[tokio::test]
async fn a_hook_that_panics_over_what_it_was_given_tells_no_secret() {
    static SAID: Mutex<String> = Mutex::new(String::new());
    const MARK: &str = "the hook of this test: ";
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        match panic.payload().downcast_ref::<String>() {
            Some(text) if text.starts_with(MARK) => SAID.lock().unwrap().push_str(text),
            _ => before(panic),
        }
    }));
    let site = secret_site(secret_app(), |layer| {
        let page = |failure: &Failure<'_>| -> Response<String> { panic!("{MARK}{failure:?}") };
        let asked = async |login: QqLogin, _| -> Result<Verdict, BoxError> {
            panic!("{MARK}{login:?} {:?}", login.tokens())
        };
        layer.on_login(asked).failure_page(page)
    });
    plant(&site.qq);
    let told = login_from(&site, site.browser()).await;
    assert!(told.contains("the on_login hook failed"), "{told}");
    let said = SAID.lock().unwrap().clone();
    assert!(
        said.contains("QqLogin") && said.contains("Failure"),
        "{said}"
    );
    assert_hidden(&said, ALL);
}

#[tokio::test]
async fn a_body_of_ours_says_nothing_of_itself_by_debug() {
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
async fn what_a_hook_fails_with_is_one_line_of_the_log() {
    let log = Log::start();
    let site = secret_site(secret_app(), |layer| {
        layer.on_login(async |_: QqLogin, _| {
            Err::<Verdict, BoxError>("坏了\nlogin ended\u{1b}[2J".into())
        })
    });
    let mut browser = site.browser().program();
    let end = browser.sign_in(&site.qq, "/auth/qq/login").await;
    end.assert_failed(403, "refused");
    let lines = log.text();
    let told = lines
        .lines()
        .find(|line| line.contains("the on_login hook failed"));
    assert!(
        told.unwrap().contains(r"坏了\nlogin ended\u{1b}[2J"),
        "{lines}"
    );
}

/// A login and nothing else, under the log of the test: what the callback says.
async fn bare_login(site: &Site) -> String {
    let mut browser = site.browser();
    let start = browser.get("/auth/qq/login").await;
    let state = param(start.location(), "state");
    let callback = format!("/auth/qq/callback?code=C&state={state}");
    browser.get(&callback).await.body
}

#[tokio::test]
async fn a_line_of_the_log_cannot_be_forged_by_qq() {
    let log = Log::start();
    let site = secret_site(secret_app(), |layer| layer);
    let forged = "\r\nINFO forged\u{1b}[31m";
    let error = json!({ "error": 100009, "error_description": forged }).to_string();
    site.qq.reply(Endpoint::Token, error);
    bare_login(&site).await;
    site.qq.fault(
        Endpoint::Token,
        1,
        Response::builder().status(500).body(forged).unwrap(),
    );
    bare_login(&site).await;
    let lines = log.text();
    assert_eq!(lines.lines().count(), 2, "one for each login: {lines}");
    assert!(
        !lines.contains("forged") && !lines.contains('\u{1b}'),
        "{lines}"
    );
}

#[tokio::test]
async fn operators_read_number_status_and_length() {
    let log = Log::start();
    let site = secret_site(secret_app(), |layer| layer);
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100009));
    bare_login(&site).await;
    let page = Response::builder()
        .status(502)
        .body("x".repeat(321))
        .unwrap();
    site.qq.fault(Endpoint::Token, 1, page);
    let reply = bare_login(&site).await;
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
        reply.contains(code),
        "the page and the log share {code}: {reply}"
    );
}

#[tokio::test]
async fn errors_and_debug_of_everything_hide_secrets() {
    let (qq, app) = (secret_qq(), secret_app());
    let client = QqClient::with_service(app.clone(), qq.clone());
    let mut shown = format!("{app:?} {app:#?} {client:?} {client:#?}");
    let keys = keys();
    shown += &format!("{keys:?} {keys:#?}");
    plant(&qq);
    let login = client.login(CODE).await.unwrap();
    assert_eq!(login.tokens().access_token(), ACCESS);
    assert_eq!(login.tokens().refresh_token(), Some(REFRESH));
    let tokens = login.tokens();
    shown += &format!("{tokens:?} {tokens:#?} {login:?} {login:#?}");

    let openid = OpenId::new(OPENID).unwrap();
    for body in [PAGE, r#"{"error":100020,"error_description":"canary"}"#] {
        qq.reply(Endpoint::Token, body).reply(Endpoint::Token, body);
        qq.reply(Endpoint::UserInfo, body);
        let errors = [
            client.login(CODE).await.unwrap_err(),
            client.refresh(REFRESH).await.unwrap_err(),
            client.user_info(ACCESS, &openid).await.unwrap_err(),
            client
                .open_api(ACCESS, ACCESS, &openid, &[])
                .await
                .unwrap_err(),
            client
                .open_api("/unknown", ACCESS, &openid, &[(CODE, KEY)])
                .await
                .unwrap_err(),
        ];
        for error in errors {
            shown += &format!("{error} {error:?} {error:#?}");
            assert!(error.source().is_none());
        }
    }

    let refused = [
        QqApp::new(APP_ID, "canary key", CALLBACK).unwrap_err(),
        QqApp::new("canary", KEY, CALLBACK).unwrap_err(),
        QqApp::new(APP_ID, KEY, "https://user:canary@site.example/x").unwrap_err(),
        QqApp::new(APP_ID, KEY, "https://site.example/x#canary").unwrap_err(),
        secret_app()
            .base_url("https://user:canary@host/")
            .unwrap_err(),
        secret_app().base_url("http://canary.example/").unwrap_err(),
        secret_app().scope("canary canary").unwrap_err(),
        SessionKeys::new(b"canary").unwrap_err(),
        SessionKeys::parse("canary!").unwrap_err(),
        SessionKeys::parse("Y2FuYXJ5").unwrap_err(),
    ];
    for error in refused {
        shown += &format!("{error} {error:?} {error:#?} {}", error.setting());
    }
    assert_hidden(&shown, ALL);
}

#[tokio::test]
async fn the_built_in_client_logs_and_reports_no_address() {
    let log = Log::start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let qq = secret_qq();
    let server = tokio::spawn(qq.clone().serve(listener));
    let client = QqClient::new(secret_app().base_url(&url).unwrap());
    plant(&qq);
    let login = client.login(CODE).await.unwrap();
    let mut shown = format!("{client:?} {login:?}");
    qq.fault(Endpoint::Token, 1, Fault::CutBody)
        .fault(Endpoint::Token, 1, Response::new(PAGE))
        .reply(Endpoint::Token, token())
        .fault(Endpoint::Me, 2, Fault::CutBody);
    for _ in 0..3 {
        let error = client.login(CODE).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
        shown += &format!("{error} {error:?}");
    }
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    let error = client.login(CODE).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::QqUnavailable);
    shown += &format!("{error} {error:?}");

    assert_hidden(&log.text(), ALL);
    assert_hidden(&shown, ALL);
    assert!(!format!("{shown} {}", log.text()).contains("/oauth2.0/"));
}
