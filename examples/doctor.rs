//! Checks a configuration without a login: the settings, the network, and QQ's opinion of the app.
//!
//! ```text
//! cargo run --example doctor
//! ```
//!
//! It reads `QQ_APP_ID`, `QQ_APP_KEY` or `QQ_APP_KEY_FILE`, `QQ_REDIRECT_URI`, `QQ_SESSION_KEY` and
//! `QQ_BASE_URL`, opens QQ's login page, and requests a token with a made-up code. It prints no
//! secret, and exits with 1 if anything is wrong. To try it without an app, start the quickstart
//! and check its mock:
//!
//! ```text
//! QQ_APP_ID=101905280 QQ_APP_KEY=made-up-app-key QQ_SESSION_KEY=$(openssl rand -hex 32) \
//! QQ_REDIRECT_URI=http://127.0.0.1:3000/auth/qq/callback \
//! QQ_BASE_URL=http://127.0.0.1:3000/mock-qq \
//! cargo run --example doctor
//! ```

use std::{
    error::Error,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use http::header;
use reqwest::{Client, Response, Url, redirect::Policy};
use tower_qq_auth::{
    Language, LoginErrorKind, OpenId, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys,
    codes::QqCode,
};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut report = Report::default();
    if let Some((app, keys)) = check_settings(&mut report) {
        let redirect_uri = app.redirect_uri().to_owned();
        let client = QqClient::new(app);
        check_cookies(&mut report, &QqAuthLayer::new(client.clone(), keys))?;
        if check_login_page(&mut report, &client, &redirect_uri).await {
            check_token(&mut report, &client, &redirect_uri).await;
        }
        println!("\nto register at connect.qq.com (网站回调域): {redirect_uri}");
    }
    println!("{} wrong", report.wrong);
    Ok(ExitCode::from(u8::from(report.wrong > 0)))
}

#[derive(Default)]
struct Report {
    /// The number of findings that must be corrected.
    wrong: usize,
}

impl Report {
    fn ok(&mut self, check: &str, finding: &str) {
        println!("ok     {check:<11} {finding}");
    }

    /// Reports a finding that may be intended.
    fn note(&mut self, check: &str, finding: &str, advice: &str) {
        println!("note   {check:<11} {finding}\n{:19}-> {advice}", "");
    }

    fn wrong(&mut self, check: &str, finding: &str, advice: &str) {
        self.wrong += 1;
        println!("WRONG  {check:<11} {finding}\n{:19}-> {advice}", "");
    }
}

/// Returns the settings if all of them are well formed.
fn check_settings(report: &mut Report) -> Option<(QqApp, SessionKeys)> {
    let (app, keys) = (QqApp::from_env(), SessionKeys::from_env());
    for error in [app.as_ref().err(), keys.as_ref().err()] {
        let problems = error.map(ToString::to_string).unwrap_or_default();
        for problem in problems.lines() {
            report.wrong("setting", problem, setting_advice(problem));
        }
    }
    let (app, keys) = (app.ok()?, keys.ok()?);
    let length = app.redirect_uri().len();
    let finding = format!("well formed; the redirect URI has {length} of 460 bytes");
    report.ok("settings", &finding);
    if !can_be_registered(app.redirect_uri()) {
        let finding = "the host of the redirect URI has a port, or is localhost or an IP address";
        let advice = "fine with a mock on this machine; the real QQ accepts none of them";
        report.note("settings", finding, advice);
    }
    Some((app, keys))
}

fn setting_advice(problem: &str) -> &'static str {
    const ADVICE: [(&str, &str); 5] = [
        ("QQ_APP_ID", "set it to the APP ID at connect.qq.com"),
        (
            "QQ_APP_KEY", // and QQ_APP_KEY_FILE
            "set it to the APP Key at connect.qq.com, or QQ_APP_KEY_FILE to a file that contains it, not both",
        ),
        (
            "QQ_REDIRECT_URI",
            "set it to the callback of your site, such as https://www.example.com/auth/qq/callback",
        ),
        (
            "QQ_SESSION_KEY",
            "set it to what `openssl rand -hex 32` prints, and keep it: a new one signs all users out",
        ),
        ("QQ_BASE_URL", "leave it unset for the real QQ"),
    ];
    let advice = ADVICE.iter().find(|(name, _)| problem.contains(name));
    advice.map_or("correct it", |(_, advice)| advice)
}

/// Returns whether connect.qq.com accepts it as a callback.
fn can_be_registered(redirect_uri: &str) -> bool {
    Url::parse(redirect_uri).is_ok_and(|url| {
        url.port().is_none() && url.domain().is_some_and(|domain| domain != "localhost")
    })
}

/// Seals a session of an average user.
fn check_cookies(report: &mut Report, layer: &QqAuthLayer) -> Result<(), Box<dyn Error>> {
    let avatar = format!("https://thirdqq.qlogo.cn/{}", "0".repeat(80));
    let user = QqUser::new(OpenId::new("0".repeat(32))?)
        .with_nickname("企鹅🐧 Penguin")
        .with_avatar(avatar);
    let cookie = layer.session_cookie(&user, None)?;
    let (name, _) = cookie.split_once('=').unwrap_or_default();
    let finding = format!("{name}, about {} of 4096 bytes", cookie.len());
    if name.starts_with("__Host-") {
        report.ok("cookies", &format!("{finding}, https only"));
    } else {
        let advice = "fine with a mock on this machine; a site needs an https redirect URI";
        report.note("cookies", &format!("{finding}, plain http"), advice);
    }
    Ok(())
}

const NETWORK_ADVICE: &str = "check QQ_BASE_URL and the way to QQ (DNS, firewall, HTTPS_PROXY, \
    ca-certificates), or try again later";

/// Opens QQ's login page, and returns whether there is one.
async fn check_login_page(report: &mut Report, client: &QqClient, redirect_uri: &str) -> bool {
    let url = client.authorize_url("doctor", false);
    let host = url.split('/').nth(2).unwrap_or_default();
    let start = Instant::now();
    let page = match open(&url).await {
        Ok(page) if page.status().as_u16() < 400 => page,
        Ok(page) => {
            let finding = format!("{host} responds with status {}", page.status().as_u16());
            report.wrong("network", &finding, NETWORK_ADVICE);
            return false;
        }
        Err(error) => {
            let finding = format!(
                "no response from {host}: {}",
                root_cause(&error.without_url())
            );
            report.wrong("network", &finding, NETWORK_ADVICE);
            return false;
        }
    };
    let elapsed = start.elapsed();
    let finding = format!("{host} responded after {} ms", elapsed.as_millis());
    match elapsed < Duration::from_secs(2) {
        true => report.ok("network", &finding),
        false => report.note(
            "network",
            &finding,
            "a login has 10 s for two or three calls",
        ),
    }
    check_clock(report, &page);
    match refusal(page).await {
        None => report.ok("login page", "QQ shows it for this app id and redirect URI"),
        Some(code) => report_refusal(report, "login page", code, redirect_uri),
    }
    true
}

async fn open(url: &str) -> Result<Response, reqwest::Error> {
    let mut client = Client::builder().redirect(Policy::none());
    if url.starts_with("http:") {
        client = client.no_proxy(); // a mock on this machine
    }
    let client = client.timeout(Duration::from_secs(5)).build()?;
    client.get(url).send().await
}

fn root_cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

/// Returns QQ's error number: the real QQ puts it into a redirect, the mock onto its page.
async fn refusal(page: Response) -> Option<i64> {
    let location = page.headers().get(header::LOCATION);
    let location = location
        .and_then(|url| url.to_str().ok())
        .map(str::to_owned);
    let (text, mark) = match location {
        Some(location) => (location, "&error="),
        None => (page.text().await.ok()?, "<code>"),
    };
    let (_, code) = text.split_once(mark)?;
    code.split(['&', '<']).next()?.parse().ok()
}

fn check_clock(report: &mut Report, page: &Response) {
    let date = page.headers().get(header::DATE);
    let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let Some(date) = date else {
        return report.note("clock", "QQ's response has no date", "see `timedatectl`");
    };
    let now = SystemTime::now();
    let offset = now.duration_since(date).or(date.duration_since(now));
    let seconds = offset.unwrap_or_default().as_secs();
    let finding = format!("{seconds} s off, by the date of QQ's response");
    let advice = "set it by NTP: certificates and sessions shared with other machines depend on it";
    match seconds {
        0..=10 => report.ok("clock", &finding),
        11..=60 => report.note("clock", &finding, advice),
        _ => report.wrong("clock", &finding, advice),
    }
}

/// Requests a token with a made-up code. QQ should refuse the code and nothing else.
async fn check_token(report: &mut Report, client: &QqClient, redirect_uri: &str) {
    match client.login(&"0".repeat(32)).await {
        Ok(_) => {
            let finding = "a made-up code was accepted: this is not QQ";
            report.wrong("app key", finding, NETWORK_ADVICE);
        }
        Err(error) => match (error.kind(), error.qq_code()) {
            (LoginErrorKind::CodeRejected, _) => {
                report.ok("app key", "QQ refuses the made-up code and nothing else");
            }
            (_, Some(code)) => report_refusal(report, "app key", code, redirect_uri),
            _ => report.wrong("app key", &error.to_string(), NETWORK_ADVICE),
        },
    }
}

fn report_refusal(report: &mut Report, check: &str, code: i64, redirect_uri: &str) {
    let known = QqCode::find(code);
    let meaning = known.map_or("an unknown number", |code| code.what(Language::English));
    let register = format!(
        "register exactly {redirect_uri} as 网站回调域; QQ accepts no port, localhost or IP address"
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
    report.wrong(check, &format!("QQ reports {code}: {meaning}"), advice);
}
