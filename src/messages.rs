//! What people are told, in Chinese and English.

use http::StatusCode;

use crate::{Language, LoginErrorKind};

/// Why we answer with a page of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Failed(LoginErrorKind),
    /// A callback without any cookie: an invalid state, of which the cause can be guessed.
    WithoutCookies,
    /// The app wants to know who is asking.
    LoginRequired,
    /// A logout that another site asked for.
    CrossSite,
    /// A session that cannot be checked against the revocation list.
    Unverified,
}

pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) button: &'static str,
}

impl Reason {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Failed(kind) => kind.status(),
            Self::WithoutCookies => LoginErrorKind::InvalidState.status(),
            Self::LoginRequired => StatusCode::UNAUTHORIZED,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Unverified => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The reason as programs see it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Failed(kind) => kind.code(),
            Self::WithoutCookies => LoginErrorKind::InvalidState.code(),
            Self::LoginRequired => "login_required",
            Self::CrossSite => "cross_site",
            Self::Unverified => "session_unverified",
        }
    }

    pub(super) fn words(self, language: Language) -> Words {
        let (title, text, button) = match language {
            Language::Chinese => self.chinese(),
            Language::English => self.english(),
        };
        Words {
            title,
            text,
            button,
        }
    }

    fn chinese(self) -> (&'static str, &'static str, &'static str) {
        let again = "重新登录";
        let (title, text) = match self {
            Self::LoginRequired => {
                return ("请先登录", "登录后才能继续此操作。", "使用 QQ 登录");
            }
            Self::CrossSite => {
                return ("未退出登录", "退出请求来自其他网站，已忽略。", "返回首页");
            }
            Self::Unverified => {
                return (
                    "暂时无法确认登录状态",
                    "您的登录还在，但现在无法确认，请稍后重试。",
                    "重试",
                );
            }
            Self::WithoutCookies => (
                "浏览器没有发送 Cookie",
                "浏览器很可能禁用了 Cookie。请允许本站使用 Cookie，然后重新登录。如果并未禁用，那么这次登录已使用过、已过期，或者是从另一个浏览器发起的，重新登录即可。",
            ),
            Self::Failed(kind) => match kind {
                LoginErrorKind::InvalidState => (
                    "登录已失效",
                    "这次登录已过期、已使用过，或者不是从当前浏览器发起的。请重新登录；如果反复出现，请检查浏览器是否禁用了 Cookie。",
                ),
                LoginErrorKind::InvalidCallback => {
                    ("登录未完成", "从 QQ 返回的信息不完整，请重新登录。")
                }
                LoginErrorKind::Cancelled => {
                    ("已取消登录", "您取消了 QQ 登录，或 QQ 没有完成授权。")
                }
                LoginErrorKind::CodeRejected => (
                    "授权已失效",
                    "QQ 不再接受这次授权（可能已过期或已使用），请重新登录。",
                ),
                LoginErrorKind::Refused => ("无法登录", "本站拒绝了这次登录。"),
                LoginErrorKind::Misconfigured => (
                    "登录暂不可用",
                    "本站的 QQ 登录配置有误，需要网站管理员处理。请把下面的编号告诉管理员。",
                ),
                LoginErrorKind::NotApproved => (
                    "登录尚未开放",
                    "本站的 QQ 登录还没有通过审核，目前只有申请者本人可以登录。",
                ),
                LoginErrorKind::AudienceMismatch => (
                    "登录未完成",
                    "QQ 返回的身份不属于本站，出于安全考虑没有登录。请重新登录。",
                ),
                LoginErrorKind::QqUnavailable => {
                    ("暂时无法连接 QQ", "QQ 没有正常响应，请稍后重新登录。")
                }
                LoginErrorKind::QqBusy => ("QQ 正忙", "QQ 现在请求过多，请稍后重新登录。"),
                LoginErrorKind::Overloaded => ("登录人数过多", "同时登录的人太多了，请稍后再试。"),
                LoginErrorKind::QqTimeout => ("QQ 响应超时", "QQ 没有及时响应，请重新登录。"),
            },
        };
        (title, text, again)
    }

    fn english(self) -> (&'static str, &'static str, &'static str) {
        let again = "Sign in again";
        let (title, text) = match self {
            Self::LoginRequired => {
                return (
                    "Please sign in",
                    "You need to be signed in to do this.",
                    "Sign in with QQ",
                );
            }
            Self::CrossSite => {
                return (
                    "Still signed in",
                    "Another site asked to sign you out. Nothing was done.",
                    "Go to the start page",
                );
            }
            Self::Unverified => {
                return (
                    "Your login cannot be checked",
                    "You are still signed in, but this cannot be confirmed at the moment. Please try again in a while.",
                    "Try again",
                );
            }
            Self::WithoutCookies => (
                "Your browser sent no cookies",
                "It probably blocks them. Please allow cookies for this site, then sign in again. If they are allowed, this login was used already, has expired, or was started in another browser: just sign in again.",
            ),
            Self::Failed(kind) => match kind {
                LoginErrorKind::InvalidState => (
                    "This login is no longer valid",
                    "It has expired, was used already, or was not started in this browser. Please sign in again; if this comes back, check that your browser accepts cookies.",
                ),
                LoginErrorKind::InvalidCallback => (
                    "Login not finished",
                    "What came back from QQ is incomplete. Please sign in again.",
                ),
                LoginErrorKind::Cancelled => (
                    "Login cancelled",
                    "You cancelled the QQ login, or QQ did not finish it.",
                ),
                LoginErrorKind::CodeRejected => (
                    "Authorization no longer valid",
                    "QQ does not accept this authorization any more: it has expired or was used already. Please sign in again.",
                ),
                LoginErrorKind::Refused => ("No entry", "This site refused the login."),
                LoginErrorKind::Misconfigured => (
                    "Login does not work here yet",
                    "QQ login is not set up correctly on this site. Please give its operator the code below.",
                ),
                LoginErrorKind::NotApproved => (
                    "Login is not open yet",
                    "QQ has not approved this site yet: only the person who registered it can sign in.",
                ),
                LoginErrorKind::AudienceMismatch => (
                    "Login not finished",
                    "The identity that QQ returned does not belong to this site, so you were not signed in. Please try again.",
                ),
                LoginErrorKind::QqUnavailable => (
                    "QQ cannot be reached",
                    "QQ did not answer as it should. Please try again in a while.",
                ),
                LoginErrorKind::QqBusy => (
                    "QQ is busy",
                    "QQ has too many requests at the moment. Please try again in a while.",
                ),
                LoginErrorKind::Overloaded => (
                    "Too many logins",
                    "Too many people are signing in at once. Please try again in a while.",
                ),
                LoginErrorKind::QqTimeout => (
                    "QQ took too long",
                    "QQ did not answer in time. Please sign in again.",
                ),
            },
        };
        (title, text, again)
    }
}
