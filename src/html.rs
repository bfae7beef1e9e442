//! HTML for the app's own pages.

use std::borrow::Cow;

use crate::config::ConfigError;
use crate::language::Language;
use crate::local_path::is_local_url;

/// Returns a link that starts a login, as accessible HTML: text, no picture, no script.
///
/// Style it by its class, `qq-login`. Tencent's button pictures may stand beside it unaltered; this
/// crate ships none. Take `login_url` from
/// [`QqAuthLayer::login_url`](crate::QqAuthLayer::login_url).
///
/// # Errors
///
/// Returns an error if `login_url` is not a path of this site. `https://…`, `//…` and
/// `javascript:…` are refused.
///
/// # Examples
///
/// ```
/// use tower_qq_auth::{Language, html::login_button};
///
/// # fn main() -> Result<(), tower_qq_auth::ConfigError> {
/// assert_eq!(
///     login_button("/auth/qq/login?return_to=/cart", Language::Chinese)?,
///     r#"<a class="qq-login" href="/auth/qq/login?return_to=/cart" rel="nofollow" lang="zh-CN">QQ登录</a>"#,
/// );
/// # Ok(())
/// # }
/// ```
pub fn login_button(login_url: &str, language: Language) -> Result<String, ConfigError> {
    if !is_local_url(login_url) {
        let problem = "must be a path of the site";
        return Err(ConfigError::with_value("login URL", problem, login_url));
    }
    let (lang, text) = match language {
        Language::Chinese => ("zh-CN", "QQ登录"),
        Language::English => ("en", "Sign in with QQ"),
    };
    let url = escape(login_url);
    Ok(format!(
        "<a class=\"qq-login\" href=\"{url}\" rel=\"nofollow\" lang=\"{lang}\">{text}</a>"
    ))
}

/// Escapes text for elements and quoted attributes.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    html_escape::encode_quoted_attribute(text)
}
