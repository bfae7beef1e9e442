//! The addresses of the site's host.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use tokio::{net::lookup_host, time::timeout};

use crate::client::{ANSWER_LIMIT, is_loopback, no_answer};
use crate::language::say;
use crate::proxy;
use crate::report::{Check, Report};

/// Resolves the host of the site, and returns whether there is an address.
pub(super) async fn check(report: &mut Report, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if proxy::find(url).is_some() {
        return true; // the proxy resolves it
    }
    let port = url.port_or_known_default().unwrap_or_default();
    let addresses = match timeout(ANSWER_LIMIT, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.map(|it: SocketAddr| it.ip()).collect::<Vec<_>>(),
        Ok(Err(error)) => return report_unresolved(report, host, &error.to_string()),
        Err(_) => return report_unresolved(report, host, &no_answer()),
    };
    let shown: Vec<_> = addresses.iter().take(4).map(ToString::to_string).collect();
    let shown = shown.join(", ");
    let finding = say(
        format!("{host} resolves to {shown}"),
        format!("{host} 解析为 {shown}"),
    );
    if is_loopback(url) || addresses.iter().all(is_public) {
        report.ok(Check::Site, finding);
    } else {
        let advice = say(
            "not an address of the internet: fine if this machine has its own entry in /etc/hosts, or in a closed network",
            "不是公网地址：如果本机的 /etc/hosts 中有这个域名，或网站只在内网使用，可以忽略",
        );
        report.warning(Check::Site, finding, advice);
    }
    true
}

fn report_unresolved(report: &mut Report, host: &str, cause: &str) -> bool {
    let finding = say(
        format!("{host} does not resolve: {cause}"),
        format!("无法解析 {host}：{cause}"),
    );
    let advice = say(
        "add its DNS record, or correct QQ_REDIRECT_URI",
        "请添加 DNS 记录，或修改 QQ_REDIRECT_URI",
    );
    report.error(Check::Site, finding, advice);
    false
}

fn is_public(ip: &IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            let is_local = ip.is_loopback() || ip.is_private() || ip.is_link_local();
            !is_local && !is_shared && !ip.is_unspecified()
        }
        IpAddr::V6(ip) => {
            let is_local = ip.is_unique_local() || ip.is_unicast_link_local();
            !is_local && !ip.is_loopback() && !ip.is_unspecified()
        }
    }
}
