//! The bytes inside a session cookie.
//!
//! It has its own version, so that changes to public types do not change it. Ids are stored as the
//! bytes that QQ writes in hex, and hosts of pictures as a number, because every request sends the
//! cookie.

use std::{str, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Session, SessionTokens, id::SessionId};
use crate::identity::Identity;
use crate::ids::{OpenId, UnionId, is_app_id};
use crate::user::QqUser;

const VERSION: u8 = 2;

/// The starts of the URLs of QQ's pictures. An index is part of the layout and keeps its meaning;
/// index 0 is for all other pictures.
const PICTURE_HOSTS: [&str; 5] = [
    "",
    "https://thirdqq.qlogo.cn/",
    "https://qzapp.qlogo.cn/",
    "https://q.qlogo.cn/",
    "https://qh.qlogo.cn/",
];
const NO_PICTURE: u8 = u8::MAX;

const IS_REMEMBERED: u8 = 1;
const PROFILE_COMPLETE: u8 = 2;

/// Version 2. The order of the fields is part of it.
///
/// `started_at` and the end of tokens are milliseconds since the epoch. `stamp` counts milliseconds
/// from `started_at`, `ends` and `renewed` seconds. Serde would read arrays in place of the slices
/// one byte at a time.
///
/// After the fields comes the id of the user's QQ app, unless it is the layer's own.
#[derive(Serialize, Deserialize)]
pub(super) struct Layout<'a> {
    version: u8,
    id: &'a [u8],
    #[serde(borrow)]
    user_digest: Option<&'a [u8]>,
    started_at: u64,
    stamp: u64,
    ends: u64,
    renewed: u64,
    flags: u8,
    #[serde(borrow)]
    openid: Id<'a>,
    #[serde(borrow)]
    unionid: Option<Id<'a>>,
    nickname: &'a str,
    #[serde(borrow)]
    avatar: (u8, &'a str),
    #[serde(borrow)]
    account: Option<&'a str>,
    #[serde(borrow)]
    tokens: Option<TokensLayout<'a>>,
}

/// An openid or a UnionID.
#[derive(Serialize, Deserialize)]
enum Id<'a> {
    /// 32 upper-case hex digits.
    Hex([u8; 16]),
    /// `UID_` and 32 upper-case hex digits.
    Uid([u8; 16]),
    Text(&'a str),
}

#[derive(Serialize, Deserialize)]
struct TokensLayout<'a> {
    access_token: &'a str,
    #[serde(borrow)]
    refresh_token: Option<&'a str>,
    expires_at: Option<u64>,
}

impl Layout<'_> {
    /// Writes a session of the layer for the QQ app `own_app`, with this picture in place of the
    /// user's, which may not fit.
    pub(super) fn write(session: &Session, own_app: &str, avatar: Option<&str>) -> Vec<u8> {
        let user = &session.user;
        let since_start = |time: u64| time.saturating_sub(session.started_at);
        let mut flags = 0;
        if session.is_remembered {
            flags |= IS_REMEMBERED;
        }
        if user.profile_complete() {
            flags |= PROFILE_COMPLETE;
        }
        let layout = Layout {
            version: VERSION,
            id: session.id.as_bytes(),
            user_digest: session.user_digest.as_ref().map(<[u8; 16]>::as_slice),
            started_at: session.started_at,
            stamp: since_start(session.stamp),
            ends: since_start(session.sealed_end) / 1000,
            renewed: since_start(session.renewed_at) / 1000,
            flags,
            openid: Id::new(user.openid().as_str()),
            unionid: user.unionid().map(|id| Id::new(id.as_str())),
            nickname: user.nickname(),
            avatar: avatar.map_or((NO_PICTURE, ""), split_picture),
            account: session.account.as_deref(),
            tokens: session.tokens.as_ref().map(|tokens| TokensLayout {
                access_token: &tokens.access_token,
                refresh_token: tokens.refresh_token.as_deref(),
                expires_at: tokens.expires_at,
            }),
        };
        // Writing strings and numbers into a growing buffer cannot fail.
        let mut bytes = postcard::to_allocvec(&layout).unwrap_or_default();
        if user.app_id() != own_app {
            bytes.extend_from_slice(user.app_id().as_bytes());
        }
        bytes
    }

    pub(super) fn read(bytes: &[u8], own_app: &Arc<str>) -> Option<Session> {
        if bytes.first() != Some(&VERSION) {
            return None;
        }
        let (layout, app_id): (Layout<'_>, _) = postcard::take_from_bytes(bytes).ok()?;
        let app_id = match str::from_utf8(app_id).ok()? {
            "" => Arc::clone(own_app),
            app_id if is_app_id(app_id) => app_id.into(),
            _ => return None,
        };
        let openid = OpenId::new(layout.openid.to_text()).ok()?;
        let since_start = |time: u64| layout.started_at.saturating_add(time);
        let unionid = match layout.unionid {
            Some(id) => Some(UnionId::new(id.to_text()).ok()?),
            None => None,
        };
        let avatar = match layout.avatar {
            (NO_PICTURE, _) => None,
            (host, path) => Some(join(PICTURE_HOSTS.get(usize::from(host))?, path)),
        };
        let user_digest = match layout.user_digest {
            Some(digest) => Some(digest.try_into().ok()?),
            None => None,
        };
        let seconds = |seconds: u64| seconds.saturating_mul(1000);
        Some(Session {
            id: SessionId::from_bytes(layout.id.try_into().ok()?),
            user_digest,
            started_at: layout.started_at,
            stamp: since_start(layout.stamp),
            sealed_end: since_start(seconds(layout.ends)),
            renewed_at: since_start(seconds(layout.renewed)),
            is_remembered: layout.flags & IS_REMEMBERED != 0,
            user: QqUser::from_parts(
                Identity::of_app(app_id, openid),
                unionid,
                layout.nickname,
                avatar,
                layout.flags & PROFILE_COMPLETE != 0,
            ),
            account: layout.account.map(str::to_owned),
            tokens: layout.tokens.map(|tokens| SessionTokens {
                access_token: tokens.access_token.to_owned(),
                refresh_token: tokens.refresh_token.map(str::to_owned),
                expires_at: tokens.expires_at,
            }),
            is_stale: false,
        })
    }
}

impl<'a> Id<'a> {
    fn new(text: &'a str) -> Self {
        let uid = text.strip_prefix("UID_").and_then(parse_hex);
        let hex = || parse_hex(text).map(Self::Hex);
        uid.map(Self::Uid).or_else(hex).unwrap_or(Self::Text(text))
    }

    fn to_text(&self) -> String {
        match self {
            Self::Hex(bytes) => format_hex("", bytes),
            Self::Uid(bytes) => format_hex("UID_", bytes),
            Self::Text(text) => (*text).to_owned(),
        }
    }
}

/// Parses 32 upper-case hex digits.
fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    if text.len() != 32 || !text.bytes().all(is_hex) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

/// Writes upper-case hex digits. Branch-free: it runs for every signed-in request.
fn format_hex(prefix: &str, bytes: &[u8; 16]) -> String {
    let digit = |half: u8| half + b'0' + u8::from(half > 9) * (b'A' - b'9' - 1);
    let mut digits = [0; 32];
    for (at, byte) in bytes.iter().enumerate() {
        digits[2 * at] = digit(byte >> 4);
        digits[2 * at + 1] = digit(byte & 15);
    }
    join(prefix, str::from_utf8(&digits).unwrap_or_default())
}

fn join(start: &str, end: &str) -> String {
    let mut text = String::with_capacity(start.len() + end.len());
    text.push_str(start);
    text.push_str(end);
    text
}

fn split_picture(url: &str) -> (u8, &str) {
    let hosts = (0..).zip(PICTURE_HOSTS).skip(1);
    let mut paths = hosts.filter_map(|(number, host)| Some((number, url.strip_prefix(host)?)));
    paths.next().unwrap_or((0, url))
}
