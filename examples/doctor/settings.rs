//! The settings of the app: form, and fitness for the real QQ.

use std::env;

use reqwest::Url;
use tower_qq_auth::{ConfigError, QqApp};

use crate::language::say;
use crate::report::{Check, Report};

/// Returns the app if its settings are well formed.
pub(crate) fn check(report: &mut Report) -> Option<QqApp> {
    let app = match QqApp::from_env() {
        Ok(app) => app,
        Err(error) => {
            report_problems(report, Check::Settings, &error, "");
            return None;
        }
    };
    let redirect_uri = app.redirect_uri();
    report.ok(
        Check::Settings,
        say(
            format!("well formed; register exactly {redirect_uri} as 网站回调域"),
            format!("格式正确；connect.qq.com 的「网站回调域」要填 {redirect_uri}，一字不差"),
        ),
    );
    if let Ok(redirect_uri) = Url::parse(redirect_uri) {
        check_redirect_uri(report, &redirect_uri);
    }
    Some(app)
}

/// Reports each line of the error, and `note` beside it.
pub(crate) fn report_problems(report: &mut Report, check: Check, error: &ConfigError, note: &str) {
    for problem in error.to_string().lines() {
        let name = problem
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'));
        let name = name.map_or("", |(name, _)| name);
        let chinese = if problem.contains("is not set") {
            format!("没有设置 {name}")
        } else {
            format!("{name} 不正确（{problem}）")
        };
        let finding = say(problem, chinese);
        report.error(check, format!("{finding}{note}"), advice(name));
    }
}

fn advice(name: &str) -> String {
    match name {
        "QQ_APP_ID" => say(
            "set it to the APP ID at connect.qq.com",
            "填写 connect.qq.com 上的 APP ID",
        ),
        "QQ_APP_KEY" | "QQ_APP_KEY_FILE" => say(
            "set QQ_APP_KEY to the APP Key at connect.qq.com, or QQ_APP_KEY_FILE to a file that contains it, not both",
            "QQ_APP_KEY 填写 connect.qq.com 上的 APP Key，或者 QQ_APP_KEY_FILE 填写存放它的文件，二选一",
        ),
        "QQ_REDIRECT_URI" => say(
            "set it to the callback of your site, such as https://www.example.com/auth/qq/callback",
            "填写网站的回调地址，例如 https://www.example.com/auth/qq/callback",
        ),
        "QQ_SESSION_KEY" | "QQ_SESSION_KEY_FILE" => say(
            "correct it, and keep the key if there is one: a new one signs all users out. `openssl rand -hex 32` prints one, for QQ_SESSION_KEY or for a file that QQ_SESSION_KEY_FILE names, not both",
            "按提示修改；已有的密钥请保留，换成新的会让所有用户重新登录。还没有密钥时用 `openssl rand -hex 32` 生成，写在 QQ_SESSION_KEY 中，或写进文件并用 QQ_SESSION_KEY_FILE 指定，二选一",
        ),
        "QQ_BASE_URL" => say("leave it unset for the real QQ", "使用真实的 QQ 时不要设置"),
        _ => say("correct it", "请修改"),
    }
}

fn check_redirect_uri(report: &mut Report, uri: &Url) {
    let problem = if uri.domain().is_none_or(|domain| domain == "localhost") {
        say(
            "the redirect URI names localhost or an IP address",
            "回调地址是 localhost 或 IP 地址",
        )
    } else if uri.port().is_some() {
        say("the redirect URI has a port", "回调地址带端口")
    } else if uri.path().ends_with('/') {
        say(
            "the path of the redirect URI ends in `/`",
            "回调地址的路径以 `/` 结尾",
        )
    } else {
        return;
    };
    let advice = say(
        "fine with a mock; the real QQ refuses it (100010)",
        "使用模拟 QQ 时可以忽略；真实的 QQ 不接受（100010）",
    );
    report.warning(Check::Settings, problem, advice);
}

/// Reports a base URL that is not the one of QQ.
pub(crate) fn check_base_url(report: &mut Report, app: &QqApp, authorize_url: &Url) {
    let host = authorize_url.host_str().unwrap_or_default();
    if env::var_os("QQ_BASE_URL").is_none_or(|url| url.is_empty())
        || authorize_url.scheme() == "https" && host == "graph.qq.com"
    {
        return;
    }
    let finding = say(
        format!("QQ_BASE_URL is set: logins go to {host}, not to QQ"),
        format!("设置了 QQ_BASE_URL：登录请求发往 {host}，而不是 QQ"),
    );
    if app.redirect_uri().starts_with("http:") {
        report.ok(Check::Settings, finding);
        return;
    }
    let advice = say(
        "unset it for a real site: the server there learns the app key and can sign in as any user",
        "正式网站不要设置它：那台服务器会拿到 APP Key，还能冒充任何用户登录",
    );
    report.warning(Check::Settings, finding, advice);
}
