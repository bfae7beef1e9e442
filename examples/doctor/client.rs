//! Requests with the limits of the layer's own client, and the causes of their failures.
//!
//! No request follows a redirect, keeps a cookie or is repeated.

use std::{
    error::Error,
    net::IpAddr,
    time::{Duration, Instant},
};

use reqwest::{Client, Response, Url, redirect::Policy};

use crate::language::say;
use crate::proxy::{self, no_connection};
use crate::report::{Check, Report};

pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(3);
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const SLOW: Duration = Duration::from_secs(1);

/// Returns a client for URLs like this one. The error is the cause of a failure.
pub(crate) fn client_for(url: &Url) -> Result<Client, String> {
    let mut client = Client::builder()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_LIMIT)
        .timeout(ANSWER_LIMIT)
        .user_agent(concat!(
            "Mozilla/5.0 (compatible; qq-doctor/",
            env!("CARGO_PKG_VERSION"),
            ")"
        ));
    if is_loopback(url) {
        client = client.no_proxy();
    }
    client.build().map_err(|error| root_cause(&error))
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || ip.is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Returns the cause of a failed request, without its URL.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() && error.is_connect() {
        return no_connection(CONNECT_LIMIT);
    }
    if error.is_timeout() {
        return no_answer();
    }
    root_cause(error)
}

pub(crate) fn no_answer() -> String {
    let seconds = ANSWER_LIMIT.as_secs();
    say(
        format!("no answer within {seconds} s"),
        format!("{seconds} 秒内没有响应"),
    )
}

/// Returns the innermost cause: the outer ones print the URL.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    match error.source() {
        Some(source) => root_cause(source),
        None if error.is::<reqwest::Error>() => say("the request cannot be sent", "无法发送请求"),
        None => error.to_string(),
    }
}

/// Returns whether the server was reached, but not over trustworthy TLS.
pub(crate) fn is_tls(cause: &str) -> bool {
    [
        "certificate",
        "corrupt message",
        "handshake",
        "received fatal alert",
    ]
    .iter()
    .any(|part| cause.contains(part))
}

/// Reports a failed request, and a proxy on the way as its cause unless the server was reached.
pub(crate) fn report_failure(report: &mut Report, check: Check, url: &Url, error: &reqwest::Error) {
    let host = url.host_str().unwrap_or_default();
    let cause = cause(error);
    let is_tls = is_tls(&cause);
    if let Some(proxy) = proxy::find(url).filter(|_| error.is_connect() && !is_tls) {
        return proxy.report_failure(report, check, host, &cause);
    }
    if is_tls {
        report.error(
            check,
            say(
                format!("no secure connection to {host}: {cause}"),
                format!("无法与 {host} 建立安全连接：{cause}"),
            ),
            say(
                "check the certificate, ca-certificates and the clock of this machine, and that no proxy opens TLS",
                "请检查证书、本机的 ca-certificates 和时钟，以及途中有没有解密 TLS 的代理",
            ),
        );
    } else {
        report.error(
            check,
            say(
                format!("no response from {host}: {cause}"),
                format!("访问 {host} 失败：{cause}"),
            ),
            network_advice(),
        );
    }
}

pub(crate) fn network_advice() -> String {
    say(
        "check the way to it (DNS, firewall, HTTPS_PROXY, QQ_BASE_URL), or try again later",
        "请检查网络（DNS、防火墙、HTTPS_PROXY、QQ_BASE_URL），或稍后再试",
    )
}

/// Sends a GET and measures the time to the head of the response.
pub(crate) async fn get(
    client: &Client,
    url: &Url,
) -> Result<(Response, Duration), reqwest::Error> {
    let start = Instant::now();
    let response = client.get(url.clone()).send().await?;
    Ok((response, start.elapsed()))
}

/// Reports how long a call to QQ took.
pub(crate) fn report_time(report: &mut Report, call: &str, elapsed: Duration) {
    let millis = elapsed.as_millis();
    let finding = say(
        format!("QQ answered after {millis} ms ({call})"),
        format!("QQ 响应用时 {millis} 毫秒（{call}）"),
    );
    if elapsed <= SLOW {
        report.ok(Check::Network, finding);
        return;
    }
    let advice = say(
        "slow: a login makes two or three such calls; by default each may take 5 s, connecting 3 s and a login 10 s. Check the way to QQ, or raise call_timeout and login_timeout",
        "偏慢：一次登录要请求 QQ 两三次，默认每次最多 5 秒（其中建立连接 3 秒），整个登录最多 10 秒。请检查到 QQ 的网络，或调大 call_timeout 和 login_timeout",
    );
    report.warning(Check::Network, finding, advice);
}
