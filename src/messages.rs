//! The texts of the layer's pages, in Chinese and English.

use crate::error::LoginErrorKind;
use crate::language::Language;

/// The texts of one page.
pub(crate) struct Message {
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) button: &'static str,
}

impl Message {
    /// Returns the message for a failure. `sends_cookies` is `false` if the request had no cookie
    /// at all, which is the likely cause of an invalid state.
    pub(crate) fn new(kind: LoginErrorKind, sends_cookies: bool, language: Language) -> Self {
        let (title, text, button) = match language {
            Language::Chinese => chinese(kind, sends_cookies),
            Language::English => english(kind, sends_cookies),
        };
        Self {
            title,
            text,
            button,
        }
    }
}

type Texts = (&'static str, &'static str, &'static str);

#[rustfmt::skip] // one text a line
fn chinese(kind: LoginErrorKind, sends_cookies: bool) -> Texts {
    const AGAIN: &str = "重新登录";
    match kind {
        LoginErrorKind::InvalidState if !sends_cookies => (
            "浏览器没有发送 Cookie",
            "您的浏览器可能禁用了 Cookie，请允许本站使用 Cookie 后重新登录。如果没有禁用，则本次登录已完成、已过期，或是在其他浏览器中发起的，重新登录即可。",
            AGAIN,
        ),
        LoginErrorKind::InvalidState => (
            "登录已失效",
            "本次登录已过期、已完成，或不是在当前浏览器中发起的，请重新登录。如果反复出现此提示，请检查浏览器是否禁用了 Cookie。",
            AGAIN,
        ),
        LoginErrorKind::InvalidCallback => ("登录未完成", "QQ 返回的信息不完整，请重新登录。", AGAIN),
        LoginErrorKind::Cancelled => ("已取消登录", "您取消了 QQ 登录，或 QQ 授权未完成。", AGAIN),
        LoginErrorKind::CodeRejected => ("授权已失效", "本次 QQ 授权可能已过期或已被使用，请重新登录。", AGAIN),
        LoginErrorKind::Refused => ("无法登录", "本站拒绝了您的登录请求。", AGAIN),
        LoginErrorKind::AppFailed => ("登录未完成", "本站在处理登录时出错，请稍后重新登录。如仍无法登录，请将下方编号告知网站管理员。", AGAIN),
        LoginErrorKind::Misconfigured => ("登录暂不可用", "本站的 QQ 登录配置有误，请将下方编号告知网站管理员。", AGAIN),
        LoginErrorKind::NotApproved => ("登录尚未开放", "本站的 QQ 登录尚未通过审核，目前仅应用申请者本人可以登录。", AGAIN),
        LoginErrorKind::AudienceMismatch => ("登录未完成", "QQ 返回的身份信息与本次登录不符，为保障账号安全，登录已中止，请重新登录。", AGAIN),
        LoginErrorKind::QqUnavailable => ("暂时无法连接 QQ", "QQ 没有正常响应，请稍后重新登录。", AGAIN),
        LoginErrorKind::QqBusy => ("QQ 正忙", "QQ 当前请求过多，请稍后重新登录。", AGAIN),
        LoginErrorKind::Overloaded => ("登录人数过多", "当前登录人数过多，请稍后再试。", AGAIN),
        LoginErrorKind::QqTimeout => ("QQ 响应超时", "QQ 未能及时响应，请重新登录。", AGAIN),
        LoginErrorKind::LoginRequired => ("请先登录", "登录后才能继续操作。", "使用 QQ 登录"),
        LoginErrorKind::NotANavigation => ("未开始登录", "请在浏览器中打开登录页面。", "使用 QQ 登录"),
        LoginErrorKind::Prefetch => ("尚未打开", "浏览器提前加载了此页面，点击按钮即可继续。", "继续"),
        LoginErrorKind::CrossSite => ("未退出登录", "退出请求来自其他网站，已忽略。", "返回首页"),
        LoginErrorKind::SessionUnverified => ("暂时无法确认登录状态", "您并未退出登录，只是目前无法确认登录状态，请稍后重试。", "重试"),
    }
}

#[rustfmt::skip] // one text a line
fn english(kind: LoginErrorKind, sends_cookies: bool) -> Texts {
    const AGAIN: &str = "Sign in again";
    match kind {
        LoginErrorKind::InvalidState if !sends_cookies => (
            "Your browser sent no cookies",
            "It may block them. Please allow cookies for this site and sign in again. If they are allowed, this login is already finished, has expired, or was started in another browser: just sign in again.",
            AGAIN,
        ),
        LoginErrorKind::InvalidState => (
            "This login is no longer valid",
            "It has expired, is already finished, or was started in another browser. Please sign in again. If this keeps happening, check that your browser accepts cookies.",
            AGAIN,
        ),
        LoginErrorKind::InvalidCallback => ("Login not finished", "The reply from QQ was incomplete. Please sign in again.", AGAIN),
        LoginErrorKind::Cancelled => ("Login cancelled", "You cancelled the login, or QQ did not finish it.", AGAIN),
        LoginErrorKind::CodeRejected => ("Authorization no longer valid", "QQ no longer accepts this authorization. It may have expired or been used. Please sign in again.", AGAIN),
        LoginErrorKind::Refused => ("Sign-in refused", "This site refused the login.", AGAIN),
        LoginErrorKind::AppFailed => ("Login not finished", "Something went wrong on this site. Please sign in again later. If it happens again, give its operator the code below.", AGAIN),
        LoginErrorKind::Misconfigured => ("Login is unavailable", "QQ login is not set up correctly on this site. Please give its operator the code below.", AGAIN),
        LoginErrorKind::NotApproved => ("Login is not open yet", "QQ has not approved this site yet. Until then only its owner can sign in.", AGAIN),
        LoginErrorKind::AudienceMismatch => ("Login not finished", "The identity that QQ returned does not match this login, so you were not signed in. Please sign in again.", AGAIN),
        LoginErrorKind::QqUnavailable => ("QQ is unreachable", "QQ did not respond properly. Please sign in again later.", AGAIN),
        LoginErrorKind::QqBusy => ("QQ is busy", "QQ is handling too many requests. Please sign in again later.", AGAIN),
        LoginErrorKind::Overloaded => ("Too many logins", "Too many users are signing in at once. Please try again later.", AGAIN),
        LoginErrorKind::QqTimeout => ("QQ took too long", "QQ did not respond in time. Please sign in again.", AGAIN),
        LoginErrorKind::LoginRequired => ("Please sign in", "You need to sign in to do this.", "Sign in with QQ"),
        LoginErrorKind::NotANavigation => ("No login started", "Please open the login page in the browser.", "Sign in with QQ"),
        LoginErrorKind::Prefetch => ("Not opened yet", "The browser loaded this page ahead of time. Click to continue.", "Continue"),
        LoginErrorKind::CrossSite => ("Still signed in", "Another site asked to sign you out. The request was ignored.", "Go to the home page"),
        LoginErrorKind::SessionUnverified => ("Your login cannot be checked", "You are still signed in, but this cannot be confirmed right now. Please try again later.", "Try again"),
    }
}
