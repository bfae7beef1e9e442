//! Nothing that is secret can be read anywhere: planted values are looked for in everything that comes out.

use std::{
    io::{self, Write},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use http::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tower::Layer;
use tower_qq_auth::{
    LoginErrorKind, OpenId, QqApp, QqAuthLayer, QqClient, SessionKeys,
    mock::{Endpoint, Fault, MockQq},
};
use tracing::{Dispatch, level_filters::LevelFilter, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

use crate::site::{APP_ID, CALLBACK, Clock, LOGIN, Site, pages, param};

// Made so that the encoded forms differ from the raw ones.
const KEY: &str = "canary/app+key=&%";
const CODE: &str = "canary/code+=&%";
const ACCESS: &str = "canary/access+token=&%";
const REFRESH: &str = "canary/refresh+token=&%";
const SESSION_KEY: &str = "canary/session+key=& 0123456789ab";
const PAGE: &str = "canary/page of a firewall";
const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";

/// Everything that is logged on this thread while it lives, at every level and from every crate.
struct Log {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> Self {
        // With two subscribers alive, a log statement that runs first in a thread without one is not switched off.
        static OTHER: LazyLock<Dispatch> = LazyLock::new(|| subscriber(Lines::default()));
        LazyLock::force(&OTHER);
        let lines = Lines::default();
        let _guard = tracing::dispatcher::set_default(&subscriber(lines.clone()));
        Self { lines, _guard }
    }

    fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

fn subscriber(lines: Lines) -> Dispatch {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(lines)
        .into()
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Fails if one of these is in the text, as it is or in one of the forms it may travel in.
#[track_caller]
fn assert_hidden(text: &str, secrets: &[&str]) {
    for secret in secrets {
        let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let unreserved = encoded
            .replace("%2D", "-")
            .replace("%5F", "_")
            .replace("%2E", ".");
        let twice = utf8_percent_encode(&unreserved, NON_ALPHANUMERIC).to_string();
        let forms = [
            (*secret).to_owned(),
            unreserved.to_lowercase(),
            unreserved,
            encoded,
            twice,
            secret.replace('/', "\\/"),
            secret.replace('&', "&amp;"),
            format!("{:?}", secret.as_bytes()),
        ];
        for form in forms {
            assert!(!text.contains(&form), "{form} can be read in {text}");
        }
    }
    // The safety net: a part of one, or one in a form that nobody thought of.
    assert!(!text.contains("canary"), "{text}");
}

fn keys() -> SessionKeys {
    SessionKeys::new(SESSION_KEY.as_bytes()).unwrap()
}

fn secret_app() -> QqApp {
    QqApp::new(APP_ID, KEY, CALLBACK).unwrap().union_id(true)
}

fn token() -> String {
    json!({
        "access_token": ACCESS,
        "refresh_token": REFRESH,
        "expires_in": "7776000",
        "openid": OPENID,
    })
    .to_string()
}

/// The mock does not know the code of these tests: it says what it is told to say.
fn plant(qq: &MockQq) {
    let me = json!({ "client_id": APP_ID, "openid": OPENID, "unionid": "UID_1" });
    qq.reply(Endpoint::Token, token())
        .reply(Endpoint::Me, me.to_string())
        .reply(Endpoint::UserInfo, r#"{"ret":0,"nickname":"小明"}"#);
}

fn secret_site(app: QqApp) -> (Site, String) {
    let (qq, clock) = (MockQq::new(APP_ID, KEY, CALLBACK), Clock::new());
    let client = QqClient::with_service(app, qq.clone());
    let time = clock.clone();
    let layer = QqAuthLayer::with_client(client, keys()).clock(move || time.now());
    let shown = format!("{layer:?} {layer:#?} {:?}", layer.layer(()));
    let router = pages().layer(layer);
    (Site { qq, router, clock }, shown)
}

/// A login with the planted code, what the browser was told last, and the secrets that only this login has.
async fn login(site: &Site) -> (String, Vec<String>) {
    let mut browser = site.browser();
    let start = browser.get("/auth/qq/login?return_to=/deep/page").await;
    let state = param(start.location(), "state").to_owned();
    let code = utf8_percent_encode(CODE, NON_ALPHANUMERIC);
    let mut own: Vec<_> = browser.jar.values().cloned().collect();
    let reply = browser
        .get(&format!("/auth/qq/callback?code={code}&state={state}"))
        .await;
    own.extend(browser.jar.values().cloned());
    own.push(state);
    assert_eq!(browser.pending_logins(), 0);
    // Cookies go to the browser, nowhere else.
    let mut headers = reply.headers.clone();
    headers.remove("set-cookie");
    (
        format!("{:?} {headers:?} {}", reply.status, reply.body),
        own,
    )
}

#[tokio::test(start_paused = true)]
async fn no_log_line_and_no_answer_holds_a_secret() {
    let page = |status: u16| {
        let location = format!("http://evil.example/?client_secret={KEY}");
        let page = Response::builder()
            .status(status)
            .header("location", location);
        Fault::from(page.body(PAGE).unwrap())
    };
    let said = |body: String| Fault::from(Response::new(body));
    let echo = format!("{KEY} {CODE} {ACCESS} {REFRESH} {PAGE}");
    let faults: Vec<Fault> = vec![
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
    ];
    let log = Log::start();
    let mut shown = String::new();
    let mut own = Vec::new();
    for require_profile in [false, true] {
        let (site, debug) = secret_site(secret_app().require_profile(require_profile));
        shown.push_str(&debug);
        plant(&site.qq);
        let (reply, secrets) = login(&site).await;
        shown.push_str(&reply);
        own.extend(secrets);
        for endpoint in [Endpoint::Token, Endpoint::Me, Endpoint::UserInfo] {
            for fault in &faults {
                site.qq.clear_faults().fault(endpoint, 2, fault.clone());
                plant(&site.qq);
                let (reply, secrets) = login(&site).await;
                shown.push_str(&reply);
                own.extend(secrets);
            }
        }
    }
    // Callbacks that are turned away at the door.
    let (site, _) = secret_site(secret_app());
    for query in [
        format!("code={CODE}&state=canary"),
        "usercancel=canary&state=canary".into(),
        "code=canary&code=canary".into(),
        "error=canary&error_description=canary&state=".into(),
    ] {
        let mut browser = site.browser();
        let _ = browser.get("/auth/qq/login?return_to=/canary").await;
        browser.jar.insert(format!("{LOGIN}x"), "canary".into());
        let query = query.replace('%', "%25");
        let reply = browser.get(&format!("/auth/qq/callback?{query}")).await;
        shown.push_str(&reply.body);
    }

    let lines = log.text();
    let count = |word: &str| lines.matches(word).count();
    assert!(count("outcome=\"ok\"") > 10, "the log works: {lines}");
    assert!(count("login ended: qq_unavailable") > 10, "{lines}");
    assert!(count("ERROR") > 1 && count("WARN") > 10, "{lines}");
    let mut secrets = vec![KEY, CODE, ACCESS, REFRESH, SESSION_KEY, PAGE];
    secrets.extend(own.iter().map(String::as_str));
    assert_hidden(&lines, &secrets);
    assert_hidden(&shown, &secrets);
    assert!(!lines.contains("http://"), "{lines}");
}

#[tokio::test]
async fn a_line_of_the_log_cannot_be_forged_by_qq() {
    let log = Log::start();
    let (site, _) = secret_site(secret_app());
    let forged = "\r\nINFO forged\u{1b}[31m";
    let error = json!({ "error": 100009, "error_description": forged }).to_string();
    site.qq.reply(Endpoint::Token, error);
    login(&site).await;
    site.qq.fault(
        Endpoint::Token,
        1,
        Response::builder().status(500).body(forged).unwrap(),
    );
    login(&site).await;
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
    let (site, _) = secret_site(secret_app());
    site.qq.fault(Endpoint::Token, 1, Fault::Code(100009));
    login(&site).await;
    let page = Response::builder()
        .status(502)
        .body("x".repeat(321))
        .unwrap();
    site.qq.fault(Endpoint::Token, 1, page);
    let (reply, _) = login(&site).await;
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
    let (qq, app) = (MockQq::new(APP_ID, KEY, CALLBACK), secret_app());
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
            assert!(std::error::Error::source(&error).is_none());
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
    assert_hidden(&shown, &[KEY, CODE, ACCESS, REFRESH, SESSION_KEY, PAGE]);
}

#[tokio::test]
async fn the_built_in_client_logs_and_reports_no_address() {
    let log = Log::start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let qq = MockQq::new(APP_ID, KEY, CALLBACK);
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

    let secrets = [KEY, CODE, ACCESS, REFRESH, PAGE];
    assert_hidden(&log.text(), &secrets);
    assert_hidden(&shown, &secrets);
    assert!(!format!("{shown} {}", log.text()).contains("/oauth2.0/"));
}
