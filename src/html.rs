//! HTML that others put on their pages.

use crate::Language;

/// A link that starts a login, as accessible HTML: text, no picture, no script.
///
/// Style it by its class, `qq-login`. Tencent's own button pictures may be used beside it, unaltered; this crate ships
/// none. `login_url` comes from [`QqAuthLayer::login_url`](crate::QqAuthLayer::login_url).
///
/// ```
/// use tower_qq_auth::{Language, login_button};
///
/// assert_eq!(
///     login_button("/auth/qq/login?return_to=/cart", Language::Chinese),
///     r#"<a class="qq-login" href="/auth/qq/login?return_to=/cart" rel="nofollow" lang="zh-CN">QQ登录</a>"#,
/// );
/// ```
pub fn login_button(login_url: &str, language: Language) -> String {
    let (lang, text) = match language {
        Language::Chinese => ("zh-CN", "QQ登录"),
        Language::English => ("en", "Sign in with QQ"),
    };
    let url = escaped(login_url);
    format!("<a class=\"qq-login\" href=\"{url}\" rel=\"nofollow\" lang=\"{lang}\">{text}</a>")
}

/// Text for HTML, inside elements and quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(it),
        }
    }
    escaped
}
