//! QQ's login page: the same request that a browser sends, without its redirect.

use http::header;
use reqwest::{Client, Response, Url};

use crate::client::{get, network_advice, report_failure, report_time};
use crate::clock;
use crate::language::say;
use crate::refusal::report_refusal;
use crate::report::{Check, Report};

/// QQ's opinion of the app id and the redirect URI, by the answer to `/oauth2.0/authorize`.
enum Answer {
    LoginPage,
    /// QQ's error page, with its error number if it has one.
    Refused(Option<i64>),
    /// A redirect to this host, which is not the one that was asked.
    Elsewhere(String),
    Status(u16),
}

/// Opens the login page, and returns whether QQ answered.
pub(crate) async fn check(
    report: &mut Report,
    client: &Client,
    url: &Url,
    redirect_uri: &str,
) -> bool {
    let (response, elapsed) = match get(client, url).await {
        Ok(response) => response,
        Err(error) => {
            report_failure(report, Check::Network, url, &error);
            return false;
        }
    };
    report_time(report, &say("login page", "登录页"), elapsed);
    clock::check(report, response.headers());
    match judge(url, &response) {
        Answer::LoginPage => {
            let finding = say(
                "QQ shows it for this app id and redirect URI",
                "QQ 接受这个 APP ID 和回调地址",
            );
            report.ok(Check::LoginPage, finding);
        }
        Answer::Refused(code) => report_refusal(report, Check::LoginPage, code, redirect_uri),
        Answer::Elsewhere(host) => {
            let finding = say(
                format!("it redirects to {host}, as QQ does not"),
                format!("跳转到了 {host}，真实的 QQ 不会这样"),
            );
            report.warning(Check::LoginPage, finding, network_advice());
        }
        Answer::Status(status) => {
            let finding = say(
                format!("it answers with status {status}, as QQ does not"),
                format!("返回状态码 {status}，真实的 QQ 不会这样"),
            );
            report.error(Check::LoginPage, finding, network_advice());
        }
    }
    true
}

fn judge(url: &Url, response: &Response) -> Answer {
    let status = response.status();
    if !status.is_redirection() {
        return match status.is_success() {
            true => Answer::LoginPage,
            false => Answer::Status(status.as_u16()),
        };
    }
    let location = response.headers().get(header::LOCATION);
    let location = location.and_then(|location| url.join(location.to_str().ok()?).ok());
    let Some(location) = location else {
        return Answer::Status(status.as_u16());
    };
    let (mut names_error_page, mut error) = (false, None);
    for (name, value) in location.query_pairs() {
        match &*name {
            "which" => names_error_page |= value == "error",
            // As in replies, 0 is no error.
            "error" if !matches!(value.trim(), "" | "0") => error = Some(value.into_owned()),
            _ => {}
        }
    }
    if names_error_page || error.is_some() && location.path().ends_with("/show") {
        return Answer::Refused(error.and_then(|error| error.trim().parse().ok()));
    }
    let host = location.host_str().unwrap_or_default();
    let is_qq = host == "qq.com" || host.ends_with(".qq.com");
    if is_qq || Some(host) == url.host_str() {
        Answer::LoginPage
    } else {
        Answer::Elsewhere(host.to_owned())
    }
}
