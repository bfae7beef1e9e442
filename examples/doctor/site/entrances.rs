//! Other addresses of the site: plain http, with or without `www.`. A login that starts there
//! loses its cookies.

use reqwest::Url;

use super::login::{paths, starts_login};
use super::request::{Answer, Visitor};
use super::{Site, shown};
use crate::client::{cause, is_tls, report_failure};
use crate::language::say;
use crate::report::{Check, Report};

/// Checks the usual other addresses, and the one that the operator named.
pub(super) async fn check(
    report: &mut Report,
    site: &Site,
    visitor: &Visitor,
    named: Option<&Url>,
) {
    let [login, _] = paths(site);
    let own = site.url("/");
    let mut entrances = usual(&own);
    if let Some(named) = named {
        entrances.retain(|url| url.origin() != named.origin());
        entrances.insert(0, named.clone());
    }
    for entrance in &entrances {
        let mut url = entrance.clone();
        url.set_path(&login);
        let is_named = Some(entrance) == named;
        match visitor.open(&url).await {
            // A proxy on the way reports that nothing answers.
            Ok(answer) if answer.status >= 500 && !is_named => {}
            Ok(answer) => report_answer(report, &answer, &own, entrance, &entrances),
            Err(error) if is_named => report_failure(report, Check::Site, entrance, &error),
            Err(error) if is_tls(&cause(&error)) => {
                report_certificate(report, entrance, &cause(&error));
            }
            Err(_) => {} // nothing answers
        }
    }
}

fn report_answer(
    report: &mut Report,
    answer: &Answer,
    own: &Url,
    entrance: &Url,
    entrances: &[Url],
) {
    let (from, to) = (shown(entrance), shown(own));
    match &answer.location {
        Some(_) if starts_login(answer) => report.error(
            Check::Site,
            say(
                format!("a login that starts at {from} loses its cookies (`invalid_state`)"),
                format!("从 {from} 发起的登录会丢失 Cookie（`invalid_state`）"),
            ),
            say(
                format!("redirect every page of it to {to} in the proxy"),
                format!("请在反向代理中把这个地址的所有页面跳转到 {to}"),
            ),
        ),
        Some(target) if leads_home(target, own, entrances) => {
            let target = target.origin().ascii_serialization();
            let finding = say(
                format!("{from} redirects to {target}"),
                format!("{from} 跳转到 {target}"),
            );
            report.ok(Check::Site, finding);
        }
        _ => report.warning(
            Check::Site,
            say(
                format!("{from} is another site, or shows pages of this one"),
                format!("{from} 是另一个网站，或者没有跳转、直接显示了本站页面"),
            ),
            say(
                format!("redirect it to {to}: a login must start where it ends"),
                format!("请跳转到 {to}：登录从哪个网址开始，就要回到哪个网址"),
            ),
        ),
    }
}

/// Returns the addresses that users may type instead of the site's own.
fn usual(own: &Url) -> Vec<Url> {
    let mut urls = Vec::new();
    if let Some(domain) = own.domain().filter(|domain| *domain != "localhost") {
        let other = match domain.strip_prefix("www.") {
            Some(bare) => bare.to_owned(),
            None => format!("www.{domain}"),
        };
        let mut url = own.clone();
        if url.set_host(Some(&other)).is_ok() {
            urls.push(url);
        }
    }
    if own.scheme() == "https" && own.port().is_none() {
        let mut plain = vec![own.clone()];
        plain.extend(urls.iter().cloned());
        for mut url in plain {
            if url.set_scheme("http").is_ok() {
                urls.push(url);
            }
        }
    }
    urls
}

/// Returns whether a redirect leads to the site, or to an entrance that is checked as well.
fn leads_home(target: &Url, own: &Url, entrances: &[Url]) -> bool {
    let is_target = |url: &Url| url.origin() == target.origin();
    is_target(own) || entrances.iter().any(is_target)
}

fn report_certificate(report: &mut Report, entrance: &Url, cause: &str) {
    let from = shown(entrance);
    let finding = say(
        format!("{from} has no valid certificate: {cause}"),
        format!("{from} 没有有效的证书：{cause}"),
    );
    let advice = say(
        "add the name to the certificate and redirect it, or remove its DNS record",
        "请把这个域名加入证书并设置跳转，或删除它的 DNS 记录",
    );
    report.warning(Check::Site, finding, advice);
}
