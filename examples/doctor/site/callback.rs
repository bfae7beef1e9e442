//! The path of the redirect URI, called without parameters. The layer answers 400 `invalid_state`.

use reqwest::Url;

use super::request::{Answer, Visitor};
use super::{Site, shown};
use crate::client::report_failure;
use crate::language::say;
use crate::report::{Check, Report};

/// Returns whether the layer answers there. `prefix` is the path at which users open the site.
pub(super) async fn check(
    report: &mut Report,
    site: &Site,
    visitor: &Visitor,
    prefix: &str,
) -> bool {
    let url = &site.redirect_uri;
    let answer = match visitor.call(url).await {
        Ok(answer) => answer,
        Err(error) => {
            report_failure(report, Check::Site, url, &error);
            return false;
        }
    };
    if is_layer(&answer) {
        let finding = say(
            format!("the layer answers at {}", shown(url)),
            format!("{} 由 tower-qq-auth 响应", shown(url)),
        );
        report.ok(Check::Site, finding);
        return true;
    }
    let status = answer.status;
    let finding = match &answer.location {
        Some(target) => say(
            format!("{} redirects to {}", shown(url), shown(target)),
            format!("{} 跳转到 {}", shown(url), shown(target)),
        ),
        None => say(
            format!("{} answers with status {status}", shown(url)),
            format!("{} 返回状态码 {status}", shown(url)),
        ),
    };
    let advice = match status {
        300..=399 => say(
            "QQ_REDIRECT_URI must name the address that answers in the end: scheme, host and path",
            "QQ_REDIRECT_URI 要填跳转后的最终地址，包括协议、域名和路径",
        ),
        401 | 403 => say(
            "exempt this path from the access control in front of the app: QQ sends every user here",
            "请让应用前面的访问控制放行这个路径：所有用户都要从 QQ 跳转回这里",
        ),
        500..=599 => say(
            "start the app, and check the address to which the proxy forwards; the log of both says more",
            "请启动应用，并检查反向代理的转发地址；详情见两者的日志",
        ),
        _ => match find_prefix(site, visitor, prefix).await {
            Some(advice) => advice,
            None => say(
                "another route answers: apply the layer last, on the outermost router, and forward the path unchanged to the app",
                "响应来自其他路由：请把 layer 写在最后、加到最外层 Router，并让反向代理原样转发路径",
            ),
        },
    };
    report.error(Check::Site, finding, advice);
    false
}

fn is_layer(answer: &Answer) -> bool {
    answer.status == 400 && answer.code.as_deref() == Some("invalid_state")
}

/// Looks for the layer at paths with a prefix more or less, and returns what to correct.
async fn find_prefix(site: &Site, visitor: &Visitor, prefix: &str) -> Option<String> {
    let path = site.redirect_uri.path();
    let answers_at = async |path: &str| {
        let url: Url = site.url(path);
        visitor
            .call(&url)
            .await
            .is_ok_and(|answer| is_layer(&answer))
    };
    if !prefix.is_empty() && answers_at(&format!("{prefix}{path}")).await {
        return Some(say(
            format!(
                "the site is below {prefix}: QQ_REDIRECT_URI needs the path {prefix}{path}; if the proxy strips the prefix, set `.public_prefix(\"{prefix}\")`"
            ),
            format!(
                "网站在 {prefix} 下：QQ_REDIRECT_URI 的路径应为 {prefix}{path}；如果反向代理会去掉这个前缀，请设置 `.public_prefix(\"{prefix}\")`"
            ),
        ));
    }
    let ends = path.match_indices('/').skip(1).map(|(at, _)| at).take(4);
    for end in ends {
        let (prefix, rest) = path.split_at(end);
        if answers_at(&format!("{prefix}{path}")).await {
            return Some(say(
                format!(
                    "the proxy strips {prefix} from the path: set `.public_prefix(\"{prefix}\")`, or let it forward paths unchanged (nginx: `proxy_pass` without a path)"
                ),
                format!(
                    "反向代理去掉了路径中的 {prefix}：请设置 `.public_prefix(\"{prefix}\")`，或让反向代理原样转发（nginx 的 `proxy_pass` 后不要带路径）"
                ),
            ));
        }
        if answers_at(rest).await {
            return Some(say(
                format!(
                    "the proxy adds {prefix} to the path: let it forward paths unchanged (nginx: `proxy_pass` without a path)"
                ),
                format!(
                    "反向代理在路径前加了 {prefix}：请原样转发（nginx 的 `proxy_pass` 后不要带路径）"
                ),
            ));
        }
    }
    None
}
