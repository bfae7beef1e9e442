//! From the reply of `get_user_info` to a user that is safe to show.

use http::Uri;
use serde_json::{Map, Value};

use super::reply::integer;
use crate::user::{OpenId, QqUser, UnionId};

const MAX_NICKNAME: usize = 256;
const MAX_AVATAR: usize = 1024;

/// QQ's placeholder for a nickname that the user withheld.
const PLACEHOLDER: &str = "qzuser";

/// Makes a user from the profile, or from the openid alone.
pub(super) fn user(
    openid: OpenId,
    unionid: Option<UnionId>,
    raw: Option<&Map<String, Value>>,
) -> QqUser {
    let mut user = QqUser::new(openid);
    if let Some(unionid) = unionid {
        user = user.with_unionid(unionid);
    }
    let Some(raw) = raw else {
        return user;
    };
    let text = |name| raw.get(name).and_then(Value::as_str).unwrap_or_default();
    let nickname = clean(text("nickname"));
    let is_lost = raw.get("is_lost").and_then(integer) == Some(1);
    let complete = !is_lost && !nickname.is_empty() && nickname != PLACEHOLDER;
    let pictures = [
        "figureurl_qq_2",
        "figureurl_qq",
        "figureurl_qq_1",
        "figureurl_2",
    ];
    if let Some(url) = pictures.into_iter().find_map(|name| picture(text(name))) {
        user = user.with_avatar(url);
    }
    user.with_nickname(nickname).with_profile_complete(complete)
}

/// Removes control and formatting characters and cuts the nickname at 256 bytes.
fn clean(nickname: &str) -> String {
    let mut clean = String::new();
    for shown in nickname
        .chars()
        .filter(|&it| !it.is_control() && !is_formatting(it))
    {
        if clean.len() + shown.len_utf8() > MAX_NICKNAME {
            break;
        }
        clean.push(shown);
    }
    clean.trim().to_owned()
}

/// Matches bidirectional controls, line and paragraph separators, and invisible characters, but not
/// the joiners inside emoji.
fn is_formatting(it: char) -> bool {
    matches!(it, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{3164}' | '\u{feff}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// Returns the URL of a picture as `https`: QQ writes `http`, but the same hosts serve both.
fn picture(url: &str) -> Option<String> {
    let is_safe = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte);
    if url.len() > MAX_AVATAR || !url.bytes().all(is_safe) {
        return None;
    }
    let uri = Uri::try_from(url).ok()?;
    let authority = uri.authority().filter(|it| !it.as_str().contains('@'))?;
    match uri.scheme_str()? {
        "https" => Some(url.to_owned()),
        "http" if is_tencent(authority.host()) && authority.port().is_none() => {
            Some(format!("https{}", &url["http".len()..]))
        }
        _ => None,
    }
}

fn is_tencent(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.ends_with(".qlogo.cn") || host.ends_with(".qq.com")
}
