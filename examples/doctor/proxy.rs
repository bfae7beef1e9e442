//! The proxies that the environment names.

use std::{env, time::Duration};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use tokio::{net::TcpStream, time::timeout};

use crate::client::{CONNECT_LIMIT, is_loopback};
use crate::language::say;
use crate::report::{Check, Report};

/// A proxy through which a URL is called.
pub(crate) struct Proxy {
    /// The variable that names it.
    pub(crate) variable: &'static str,
    /// Its scheme, host and port, without user and password.
    url: String,
}

/// Returns the proxy that the HTTP client uses for this URL.
pub(crate) fn find(url: &Url) -> Option<Proxy> {
    let uri = url.as_str().parse().ok()?;
    if is_loopback(url) {
        return None;
    }
    let intercept = Matcher::from_env().intercept(&uri)?;
    let variable = variables(url).find(|name| names_a_proxy(name))?;
    let url = intercept.uri().to_string();
    let url = url.trim_end_matches('/').to_owned();
    Some(Proxy { variable, url })
}

/// Returns the variables that are set for URLs like this one, in the order in which they count.
fn variables(url: &Url) -> impl Iterator<Item = &'static str> {
    let names = match url.scheme() {
        "https" => [["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]],
        _ => [["HTTP_PROXY", "http_proxy"], ["ALL_PROXY", "all_proxy"]],
    };
    let is_set = |name: &&str| env::var_os(name).is_some();
    names
        .into_iter()
        .filter_map(move |names| names.into_iter().find(is_set))
}

fn names_a_proxy(variable: &str) -> bool {
    let value = env::var(variable).unwrap_or_default();
    let matcher = Matcher::builder().all(value).build();
    let any = http::Uri::from_static("https://graph.qq.com");
    matcher.intercept(&any).is_some()
}

/// Reports the proxy to QQ, and returns whether it accepts connections, or none is used.
pub(crate) async fn check(report: &mut Report, qq: &Url) -> bool {
    let host = qq.host_str().unwrap_or_default();
    if let Some(proxy) = find(qq) {
        let Proxy { variable, url } = &proxy;
        let connection = connect(url).await;
        let is_reachable = connection.is_ok();
        match connection {
            Ok(()) => report.ok(
                Check::Proxy,
                say(
                    format!("{host} is called through {url} ({variable})"),
                    format!("经代理 {url}（{variable}）访问 {host}"),
                ),
            ),
            Err(cause) => proxy.report_failure(report, Check::Proxy, host, &cause),
        }
        return is_reachable;
    }
    if !is_loopback(qq) {
        report_unused(report, qq, host);
    }
    true
}

/// Reports variables that name a proxy which is not used for QQ.
fn report_unused(report: &mut Report, qq: &Url, host: &str) {
    let is_filled = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let Some(variable) = variables(qq).find(is_filled) else {
        if ["HTTP_PROXY", "http_proxy"].iter().any(is_filled) {
            let finding = say(
                "HTTP_PROXY does not apply to QQ, which is https: set HTTPS_PROXY if the server needs a proxy",
                "QQ 使用 https，HTTP_PROXY 对它不起作用：如果服务器要通过代理上网，请设置 HTTPS_PROXY",
            );
            report.ok(Check::Proxy, finding);
        }
        return;
    };
    if names_a_proxy(variable) {
        let finding = say(
            format!("{host} is called directly: NO_PROXY exempts it from {variable}"),
            format!("直接访问 {host}：NO_PROXY 排除了它，不使用 {variable}"),
        );
        report.ok(Check::Proxy, finding);
    } else {
        let finding = say(
            format!("{variable} is ignored: its value names no proxy"),
            format!("{variable} 不起作用：它的值不是代理地址"),
        );
        let advice = say(
            "write http://host:port, https://host:port or socks5h://host:port, or unset it",
            "请写成 http://host:port、https://host:port 或 socks5h://host:port，或取消设置",
        );
        report.warning(Check::Proxy, finding, advice);
    }
}

impl Proxy {
    /// Reports that the proxy fails, as opposed to the server behind it.
    pub(crate) fn report_failure(
        &self,
        report: &mut Report,
        check: Check,
        host: &str,
        cause: &str,
    ) {
        let Self { variable, url } = self;
        report.error(
            check,
            say(
                format!("the proxy {url} ({variable}) fails: {cause}"),
                format!("代理 {url}（{variable}）出错：{cause}"),
            ),
            say(
                format!("correct {variable} or the proxy; NO_PROXY={host} goes around it"),
                format!("请检查 {variable} 和代理；设置 NO_PROXY={host} 可以绕过代理"),
            ),
        );
    }
}

async fn connect(proxy: &str) -> Result<(), String> {
    let proxy = Url::parse(proxy).map_err(|error| error.to_string())?;
    let default_port = match proxy.scheme() {
        "http" => 80,
        "https" => 443,
        _ => 1080,
    };
    let host = proxy.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connection = TcpStream::connect((host, proxy.port().unwrap_or(default_port)));
    match timeout(CONNECT_LIMIT, connection).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(no_connection(CONNECT_LIMIT)),
    }
}

pub(crate) fn no_connection(limit: Duration) -> String {
    let seconds = limit.as_secs();
    say(
        format!("no connection within {seconds} s"),
        format!("{seconds} 秒内没有建立连接"),
    )
}
