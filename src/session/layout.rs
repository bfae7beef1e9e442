//! The bytes inside a session cookie.
//!
//! It has its own version, so that changes to public types do not change it.

use serde::{Deserialize, Serialize};

use super::{Session, SessionTokens};
use crate::user::{OpenId, QqUser, UnionId};

const VERSION: u8 = 1;

/// Version 1. The order of the fields is part of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Layout<'a> {
    version: u8,
    id: [u8; 16],
    user_digest: [u8; 16],
    started_at: u64,
    renewed_at: u64,
    openid: &'a str,
    #[serde(borrow)]
    unionid: Option<&'a str>,
    nickname: &'a str,
    #[serde(borrow)]
    avatar: Option<&'a str>,
    profile_complete: bool,
    #[serde(borrow)]
    tokens: Option<TokensLayout<'a>>,
}

#[derive(Serialize, Deserialize)]
struct TokensLayout<'a> {
    access_token: &'a str,
    #[serde(borrow)]
    refresh_token: Option<&'a str>,
    expires_at: Option<u64>,
}

impl Layout<'_> {
    /// Writes the session with this picture in place of the user's, which may not fit.
    pub(super) fn write(session: &Session, avatar: Option<&str>) -> Vec<u8> {
        let user = &session.user;
        let layout = Layout {
            version: VERSION,
            id: session.id,
            user_digest: session.user_digest,
            started_at: session.started_at,
            renewed_at: session.renewed_at,
            openid: user.openid().as_str(),
            unionid: user.unionid().map(UnionId::as_str),
            nickname: user.nickname(),
            avatar,
            profile_complete: user.profile_complete(),
            tokens: session.tokens.as_ref().map(|tokens| TokensLayout {
                access_token: &tokens.access_token,
                refresh_token: tokens.refresh_token.as_deref(),
                expires_at: tokens.expires_at,
            }),
        };
        // Writing strings and numbers into a growing buffer cannot fail.
        postcard::to_allocvec(&layout).unwrap_or_default()
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Session> {
        let layout: Layout<'_> = postcard::from_bytes(bytes).ok()?;
        if layout.version != VERSION {
            return None;
        }
        let unionid = match layout.unionid {
            Some(id) => Some(UnionId::new(id).ok()?),
            None => None,
        };
        Some(Session {
            id: layout.id,
            user_digest: layout.user_digest,
            started_at: layout.started_at,
            renewed_at: layout.renewed_at,
            user: QqUser::from_parts(
                OpenId::new(layout.openid).ok()?,
                unionid,
                layout.nickname,
                layout.avatar,
                layout.profile_complete,
            ),
            tokens: layout.tokens.map(|tokens| SessionTokens {
                access_token: tokens.access_token.to_owned(),
                refresh_token: tokens.refresh_token.map(str::to_owned),
                expires_at: tokens.expires_at,
            }),
            is_stale: false,
        })
    }
}
