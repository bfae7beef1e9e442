//! The content of a login cookie, before it is sealed.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::pending::{Intent, PendingLogin};
use crate::random::url_safe;

/// The flags in the byte of the intent's length, which is at most 32.
const NOT_REMEMBERED: u8 = 0x80;
const POPUP: u8 = 0x40;

/// The content of a login cookie: the time of the start, the length of the intent with two flags,
/// the intent, and then `return_to`.
pub(super) struct LoginCookie {
    /// In tenths of a second.
    pub(super) started_at: u32,
    pub(super) intent: Option<Intent>,
    pub(super) is_remembered: bool,
    pub(super) is_popup: bool,
    /// As [`ReturnTo::to_bytes`] packs it.
    pub(super) return_to: Vec<u8>,
}

impl LoginCookie {
    /// Returns the content in at most `room` bytes: a long `return_to` is shortened.
    pub(super) fn write(started_at: u32, login: &PendingLogin, room: usize) -> Vec<u8> {
        let mut bytes = started_at.to_be_bytes().to_vec();
        let intent = login.intent.as_ref();
        let mut first = intent.map_or(0, |intent| intent.name.len() as u8);
        if !login.is_remembered {
            first |= NOT_REMEMBERED;
        }
        if login.is_popup {
            first |= POPUP;
        }
        bytes.push(first);
        if let Some(intent) = intent {
            intent.write(&mut bytes);
        }
        let room = room.saturating_sub(bytes.len());
        bytes.extend(login.return_to.to_bytes(room));
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (started_at, bytes) = bytes.split_first_chunk()?;
        let (&first, bytes) = bytes.split_first()?;
        let (intent, bytes) = match first & !(NOT_REMEMBERED | POPUP) {
            0 => (None, bytes),
            length => {
                let (intent, bytes) = Intent::read(length, bytes)?;
                (Some(intent), bytes)
            }
        };
        Some(Self {
            started_at: u32::from_be_bytes(*started_at),
            intent,
            is_remembered: first & NOT_REMEMBERED == 0,
            is_popup: first & POPUP != 0,
            return_to: bytes.to_vec(),
        })
    }
}

impl Intent {
    /// Four characters of the name take three bytes, so that a long `return_to` still fits.
    fn write(&self, bytes: &mut Vec<u8>) {
        let padded = format!("{:A<32}", self.name);
        let name = BASE64_URL_SAFE_NO_PAD.decode(padded);
        bytes.extend(name.expect("an intent is a word of up to 32 characters"));
        bytes.extend(self.account);
    }

    fn read(length: u8, bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (name, bytes) = bytes.split_first_chunk::<24>()?;
        let (&account, bytes) = bytes.split_first_chunk()?;
        let name = url_safe(name).get(..length.into())?.to_owned();
        Some((Self { name, account }, bytes))
    }
}
