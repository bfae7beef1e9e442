//! Turning a profile into a user that is safe to show.

use http::Uri;
use serde_json::{Map, Value};

use super::reply::integer;
use crate::identity::Identity;
use crate::ids::UnionId;
use crate::user::QqUser;

const MAX_NICKNAME: usize = 256;
/// Longer ones would not leave the session cookie small enough for proxies.
const MAX_AVATAR: usize = 512;

/// QQ's placeholders for a nickname that the user withheld.
const PLACEHOLDERS: [&str; 2] = ["qzuser", "qquser"];

/// Creates a user from the profile, or from the identity alone.
pub(super) fn build_user(
    identity: Identity,
    unionid: Option<UnionId>,
    profile: Option<&Map<String, Value>>,
) -> QqUser {
    let mut user = QqUser::new(identity);
    if let Some(unionid) = unionid {
        user = user.with_unionid(unionid);
    }
    let Some(profile) = profile else {
        return user;
    };
    let text = |name| {
        let text = profile.get(name).and_then(Value::as_str);
        text.unwrap_or_default()
    };
    let nickname = clean_nickname(text("nickname"));
    let is_lost = profile.get("is_lost").and_then(integer) == Some(1);
    let is_named = !nickname.is_empty() && !PLACEHOLDERS.contains(&nickname.as_str());
    let pictures = [
        "figureurl_qq_2",
        "figureurl_qq",
        "figureurl_qq_1",
        "figureurl_2",
    ];
    let mut urls = pictures.into_iter().map(text);
    if let Some(url) = urls.find_map(secure_picture_url) {
        user = user.with_avatar(url);
    }
    user.with_nickname(nickname)
        .with_profile_complete(is_named && !is_lost)
}

/// Removes control and formatting characters and cuts the nickname at 256 bytes. One that shows
/// nothing becomes empty.
fn clean_nickname(nickname: &str) -> String {
    let mut clean = String::new();
    for ch in nickname
        .chars()
        .filter(|&ch| !ch.is_control() && !is_formatting(ch))
    {
        if clean.len() + ch.len_utf8() > MAX_NICKNAME {
            break;
        }
        clean.push(ch);
    }
    if clean.chars().all(|ch| ch.is_whitespace() || is_blank(ch)) {
        return String::new();
    }
    clean.trim().to_owned()
}

/// Matches bidirectional controls, line and paragraph separators, and invisible characters, but not
/// the joiners inside emoji.
fn is_formatting(ch: char) -> bool {
    matches!(
        ch,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{3164}'
            | '\u{feff}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
    )
}

/// Matches characters that show nothing by themselves. Inside a nickname they stay: some join an
/// emoji, or choose its form.
fn is_blank(ch: char) -> bool {
    matches!(
        ch,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{200c}' | '\u{200d}'
            | '\u{2800}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns the URL of a picture as `https`: QQ writes `http`, but the same hosts serve both.
fn secure_picture_url(url: &str) -> Option<String> {
    let is_safe = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte);
    if !url.bytes().all(is_safe) {
        return None;
    }
    let uri = Uri::try_from(url).ok()?;
    let authority = uri.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let url = match uri.scheme_str()? {
        "https" => url.to_owned(),
        "http" if is_tencent(authority.host()) && authority.port().is_none() => {
            format!("https{}", &url["http".len()..])
        }
        _ => return None,
    };
    Some(url).filter(|url| url.len() <= MAX_AVATAR)
}

fn is_tencent(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.ends_with(".qlogo.cn") || host.ends_with(".qq.com")
}
