//! Checks a configuration without a login: what is set, whether QQ can be reached, and what QQ says to it.
//!
//! ```text
//! cargo run --example doctor
//! ```
//!
//! It reads `QQ_APP_ID`, `QQ_APP_KEY` or `QQ_APP_KEY_FILE`, `QQ_REDIRECT_URI`, `QQ_SESSION_KEY` and `QQ_BASE_URL`, opens
//! the page that people are sent to, and asks for a token with a code that cannot be good. It prints no secret, and ends
//! with 0 if nothing is wrong. To try it without an app, let the quickstart run and ask the QQ inside:
//!
//! ```text
//! QQ_APP_ID=101905280 QQ_APP_KEY=made-up-app-key QQ_SESSION_KEY=$(openssl rand -hex 32) \
//! QQ_REDIRECT_URI=http://127.0.0.1:3000/auth/qq/callback QQ_BASE_URL=http://127.0.0.1:3000/mock-qq \
//! cargo run --example doctor
//! ```

use std::{
    env,
    error::Error,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use http::header;
use reqwest::{Client, Response, Url, redirect::Policy};
use tower_qq_auth::{
    ConfigError, Language, LoginErrorKind, OpenId, QqApp, QqAuthLayer, QqClient, QqCode, QqUser,
    SessionKeys,
};

#[tokio::main]
async fn main() -> ExitCode {
    let mut report = Report::default();
    if let Some((app, keys)) = settings(&mut report) {
        let redirect_uri = app.redirect_uri().to_owned();
        let client = QqClient::new(app);
        cookies(&mut report, QqAuthLayer::with_client(client.clone(), keys));
        if login_page(&mut report, &client, &redirect_uri).await {
            token(&mut report, &client, &redirect_uri).await;
        }
        println!("\nto register at connect.qq.com (网站回调域): {redirect_uri}");
    }
    println!("{} wrong", report.wrong);
    ExitCode::from(u8::from(report.wrong > 0))
}

#[derive(Default)]
struct Report {
    wrong: usize,
}

impl Report {
    fn ok(&mut self, what: &str, found: &str) {
        println!("ok     {what:<11} {found}");
    }

    /// Worth knowing, and no reason to fail.
    fn note(&mut self, what: &str, found: &str, advice: &str) {
        println!("note   {what:<11} {found}\n{:19}-> {advice}", "");
    }

    fn wrong(&mut self, what: &str, found: &str, advice: &str) {
        self.wrong += 1;
        println!("WRONG  {what:<11} {found}\n{:19}-> {advice}", "");
    }
}

type Check = fn(&str) -> Result<(), ConfigError>;

const SOME: &str = "https://www.example.com/auth/qq/callback";

/// Each variable by itself, so that one run tells of all, and what to set it to.
#[rustfmt::skip] // one variable a row
const VARIABLES: [(&str, Check, &str); 5] = [
    ("QQ_APP_ID", |id| QqApp::new(id, "key", SOME).map(drop), "set it to the APP ID at connect.qq.com"),
    ("QQ_APP_KEY", |key| QqApp::new("1", key, SOME).map(drop), KEY),
    ("QQ_REDIRECT_URI", |uri| QqApp::new("1", "key", uri).map(drop),
        "set it to the callback of your site, such as https://www.example.com/auth/qq/callback"),
    ("QQ_SESSION_KEY", |keys| SessionKeys::parse(keys).map(drop),
        "set it to what `openssl rand -hex 32` prints, and keep it: a new one signs everybody out"),
    ("QQ_BASE_URL", |url| QqApp::new("1", "key", SOME)?.base_url(url).map(drop), "leave it unset for the real QQ"),
];

const KEY: &str =
    "set it to the APP Key at connect.qq.com, or QQ_APP_KEY_FILE to a file that holds it, not both";

/// The settings, if they are good.
fn settings(report: &mut Report) -> Option<(QqApp, SessionKeys)> {
    let variable = |name| {
        let value = env::var_os(name).unwrap_or_default();
        value.to_string_lossy().trim().to_owned()
    };
    for (name, check, advice) in VARIABLES {
        let value = variable(name);
        let elsewhere = name == "QQ_APP_KEY" && !variable("QQ_APP_KEY_FILE").is_empty();
        if !value.is_empty() {
            if let Err(error) = check(&value) {
                report.wrong("setting", &error.to_string(), advice);
            }
        } else if name != "QQ_BASE_URL" && !elsewhere {
            report.wrong("setting", &format!("{name} is not set"), advice);
        }
    }
    if report.wrong > 0 {
        return None;
    }
    match (QqApp::from_env(), SessionKeys::from_env()) {
        (Ok(app), Ok(keys)) => {
            let (length, keys_set) = (app.redirect_uri().len(), variable("QQ_SESSION_KEY"));
            let keys_set = keys_set.split(',').count();
            let found = format!(
                "well formed; redirect URI {length} of 460 bytes, {keys_set} session key(s)"
            );
            report.ok("settings", &found);
            if !can_be_registered(app.redirect_uri()) {
                let found = "redirect URI has a port, or localhost or an IP address as its host";
                let advice = "fine with a mock on this machine; the real QQ takes none of them";
                report.note("settings", found, advice);
            }
            Some((app, keys))
        }
        // What is left: the key in a file, or twice.
        (Err(error), _) | (_, Err(error)) => {
            report.wrong("setting", &error.to_string(), KEY);
            None
        }
    }
}

/// Whether it is a callback that connect.qq.com takes.
fn can_be_registered(redirect_uri: &str) -> bool {
    Url::parse(redirect_uri).is_ok_and(|url| {
        url.port().is_none() && url.domain().is_some_and(|domain| domain != "localhost")
    })
}

/// What becomes of somebody's session.
fn cookies(report: &mut Report, layer: QqAuthLayer) {
    let somebody = OpenId::new("0".repeat(32)).map(QqUser::new);
    let picture = format!("https://thirdqq.qlogo.cn/{}", "0".repeat(80));
    let somebody = somebody.map(|user| user.with_nickname("企鹅🐧 Penguin").with_avatar(picture));
    let cookie = somebody.map(|user| layer.session_cookie(&user, None).unwrap_or_default());
    let cookie = cookie.unwrap_or_default();
    let (name, _) = cookie.split_once('=').unwrap_or_default();
    let found = format!("{name}, some {} bytes of 4096", cookie.len());
    if name.starts_with("__Host-") {
        report.ok("cookies", &format!("{found}, over https only"));
    } else {
        let advice = "fine with a mock on this machine; a site needs an https redirect URI";
        report.note("cookies", &format!("{found}, over plain http"), advice);
    }
}

const BETWEEN: &str = "look at QQ_BASE_URL, and at what is in between: DNS, firewall, HTTPS_PROXY, \
    ca-certificates; or try again later";

/// Opens the page that people are sent to. Whether there was any.
async fn login_page(report: &mut Report, client: &QqClient, redirect_uri: &str) -> bool {
    let url = client.authorize_url("doctor", false);
    let host = url.split('/').nth(2).unwrap_or_default();
    let begun = Instant::now();
    let page = match open(&url).await {
        Ok(page) if page.status().as_u16() < 400 => page,
        Ok(page) => {
            let found = format!("{host} answers with status {}", page.status().as_u16());
            report.wrong("network", &found, BETWEEN);
            return false;
        }
        Err(error) => {
            let found = format!("no answer from {host}: {}", root(&error.without_url()));
            report.wrong("network", &found, BETWEEN);
            return false;
        }
    };
    let took = begun.elapsed();
    let found = format!("{host} answered after {} ms", took.as_millis());
    match took < Duration::from_secs(2) {
        true => report.ok("network", &found),
        false => report.note("network", &found, "a login has 10 s for two or three calls"),
    }
    clock(report, &page);
    match refusal(page).await {
        None => report.ok("login page", "QQ shows it for this app id and redirect URI"),
        Some(code) => refused(report, "login page", code, redirect_uri),
    }
    true
}

async fn open(url: &str) -> Result<Response, reqwest::Error> {
    let mut client = Client::builder().redirect(Policy::none());
    if url.starts_with("http:") {
        client = client.no_proxy(); // a QQ on this machine
    }
    let client = client.timeout(Duration::from_secs(5)).build()?;
    client.get(url).send().await
}

fn root(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), root)
}

/// QQ tells it by where it redirects to, the mock on its page.
async fn refusal(page: Response) -> Option<i64> {
    let location = page.headers().get(header::LOCATION);
    let location = location.and_then(|to| to.to_str().ok()).map(str::to_owned);
    let (told, mark) = match location {
        Some(location) => (location, "&error="),
        None => (page.text().await.ok()?, "<code>"),
    };
    let (_, number) = told.split_once(mark)?;
    number.split(['&', '<']).next()?.parse().ok()
}

fn clock(report: &mut Report, page: &Response) {
    let date = page.headers().get(header::DATE);
    let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let Some(date) = date else {
        return report.note("clock", "QQ's answer has no date", "see `timedatectl`");
    };
    let now = SystemTime::now();
    let off = now.duration_since(date).or(date.duration_since(now));
    let off = off.unwrap_or_default().as_secs();
    let found = format!("{off} s off, by the date of QQ's answer");
    let advice = "set it by NTP: certificates go by it, and sessions shared with other machines";
    match off {
        0..=10 => report.ok("clock", &found),
        11..=60 => report.note("clock", &found, advice),
        _ => report.wrong("clock", &found, advice),
    }
}

/// Asks for a token with a made-up code. That QQ refuses the code, and nothing else, is the good outcome.
async fn token(report: &mut Report, client: &QqClient, redirect_uri: &str) {
    match client.login(&"0".repeat(32)).await {
        Ok(_) => report.wrong("app key", "a made-up code is taken: this is no QQ", BETWEEN),
        Err(error) => match (error.kind(), error.qq_code()) {
            (LoginErrorKind::CodeRejected, _) => {
                report.ok("app key", "QQ refuses the made-up code, and nothing else");
            }
            (_, Some(code)) => refused(report, "app key", code, redirect_uri),
            _ => report.wrong("app key", &error.to_string(), BETWEEN),
        },
    }
}

/// What QQ has against this app.
fn refused(report: &mut Report, what: &str, code: i64, redirect_uri: &str) {
    let known = QqCode::find(code);
    let meaning = known.map_or("an unknown number", |code| code.what(Language::English));
    let register = format!(
        "register exactly {redirect_uri} as 网站回调域; QQ takes no port, localhost or IP address"
    );
    let advice = match code {
        100001 | 100008 | 100041 | 110401 | 110404 => {
            "compare QQ_APP_ID with the APP ID at connect.qq.com"
        }
        100002 | 100009 | 100040 => "compare QQ_APP_KEY with the APP Key at connect.qq.com",
        100010 => &register,
        100011 | 100051 | 110406 => {
            "submit the app for review (审核): until then only the QQ number that registered it can sign in"
        }
        _ => known.map_or("try again later", |code| code.advice(Language::English)),
    };
    report.wrong(what, &format!("QQ says {code}: {meaning}"), advice);
}
