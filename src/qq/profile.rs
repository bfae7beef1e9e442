//! What `get_user_info` tells of a person, made fit to show.

use http::Uri;
use serde_json::{Map, Value};

use super::reply::integer;
use crate::{OpenId, QqUser, UnionId};

const MAX_NICKNAME: usize = 256;
const MAX_AVATAR: usize = 1024;

/// QQ's stand-in for the nickname of somebody who kept it back.
const PLACEHOLDER: &str = "qzuser";

/// The person that a profile (or none) describes.
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

/// A nickname without characters that are not seen but move others about, cut at 256 bytes.
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

/// Bidirectional controls, line and paragraph separators, and characters that show nothing at all. Those that join
/// others, as in emoji, stay.
fn is_formatting(it: char) -> bool {
    matches!(it, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{3164}' | '\u{feff}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// An `https` address for a picture, if it can be had: QQ writes `http`, but the same hosts serve both.
fn picture(url: &str) -> Option<String> {
    let harmless = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte);
    if url.len() > MAX_AVATAR || !url.bytes().all(harmless) {
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
