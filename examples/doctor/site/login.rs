//! The start of a login on the site: a redirect to QQ, and a cookie.

use std::borrow::Cow;

use reqwest::Url;

use super::request::{Answer, Visitor};
use super::{Site, shown};
use crate::client::report_failure;
use crate::language::say;
use crate::report::{Check, Report};

pub(super) async fn check(report: &mut Report, site: &Site, visitor: &Visitor) {
    let [url, other] = paths(site).map(|path| site.url(&path));
    let mut answer = visitor.open(&url).await;
    let is_missing = |answer: &Result<Answer, _>| matches!(answer, Ok(it) if it.status == 404);
    if is_missing(&answer) && other != url {
        answer = visitor.open(&other).await;
    }
    if is_missing(&answer) {
        let finding = say(
            format!("no login at {}", shown(&url)),
            format!("{} 没有登录入口", shown(&url)),
        );
        let advice = say(
            "apply the layer after every route, fallback and merge; or ignore this if the app sets another login_path",
            "请把 layer 写在所有 route、fallback 和 merge 之后；如果应用用 login_path 设置了其他路径，可以忽略",
        );
        return report.warning(Check::Site, finding, advice);
    }
    match answer {
        Ok(answer) => report_start(report, site, &answer),
        Err(error) => report_failure(report, Check::Site, &url, &error),
    }
}

/// Returns the likely paths of the login: beside the callback, and the default.
pub(super) fn paths(site: &Site) -> [String; 2] {
    let path = site.redirect_uri.path();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    [format!("{folder}/login"), "/auth/qq/login".into()]
}

/// Returns whether an answer starts a login at QQ.
pub(super) fn starts_login(answer: &Answer) -> bool {
    let location = answer.location.as_ref();
    location.is_some_and(|url| url.path().ends_with("/oauth2.0/authorize"))
}

fn report_start(report: &mut Report, site: &Site, answer: &Answer) {
    let problem = match &answer.location {
        Some(target) if starts_login(answer) => compare(site, target),
        Some(target) => Some(say(
            format!("its login redirects to {}, not to QQ", shown(target)),
            format!("登录入口跳转到 {}，而不是 QQ", shown(target)),
        )),
        None => {
            let (status, code) = (answer.status, answer.code.as_deref().unwrap_or_default());
            Some(say(
                format!("its login answers with status {status} {code}"),
                format!("登录入口返回状态码 {status} {code}"),
            ))
        }
    };
    if let Some(problem) = problem {
        let advice = say(
            "compare the variables of its process with the ones of this shell, and restart it; its log says more",
            "请核对网站进程与当前终端的环境变量，改好后重启网站；详情见日志",
        );
        report.error(Check::Site, problem, advice);
    } else if answer.sets_cookie {
        let finding = say(
            "its login redirects to QQ, with this app id and redirect URI",
            "登录入口跳转到 QQ，APP ID 和回调地址与配置一致",
        );
        report.ok(Check::Site, finding);
    } else {
        let finding = say(
            "its login sets no cookie: every callback will be `invalid_state`",
            "登录入口没有写入 Cookie：所有回调都会失败（`invalid_state`）",
        );
        let advice = say(
            "let the proxy or CDN forward `Set-Cookie`, and cache nothing below /auth",
            "请让反向代理或 CDN 转发 `Set-Cookie`，并且不要缓存 /auth 下的响应",
        );
        report.error(Check::Site, finding, advice);
    }
}

/// Returns how the login page of the site differs from the one in the settings.
fn compare(site: &Site, target: &Url) -> Option<String> {
    let expected = &site.authorize_url;
    if shown(target) != shown(expected) {
        let (target, expected) = (shown(target), shown(expected));
        return Some(say(
            format!("its login redirects to {target}, not to {expected}"),
            format!("登录入口跳转到 {target}，而不是 {expected}"),
        ));
    }
    ["client_id", "redirect_uri"].into_iter().find_map(|name| {
        let (found, wanted) = (parameter(target, name), parameter(expected, name));
        (found != wanted).then(|| {
            say(
                format!("its login has the {name} {found}, not {wanted}"),
                format!("登录入口使用的 {name} 是 {found}，而不是 {wanted}"),
            )
        })
    })
}

fn parameter<'u>(url: &'u Url, name: &str) -> Cow<'u, str> {
    let found = url.query_pairs().find(|(it, _)| it == name);
    found.map_or(Cow::Borrowed(""), |(_, value)| value)
}
