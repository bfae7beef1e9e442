//! The keys that seal the cookies of a site.

use std::{fmt, str, sync::Arc};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::config::{ConfigError, ConfigErrors, find_wrapping, read_secret};
use crate::random::random_bytes;

const SETTING: &str = "session key (QQ_SESSION_KEY)";
const MIN_LEN: usize = 32;

/// The keys that seal this site's cookies.
///
/// The keys form a ring: the first one seals, and any of them opens. To change keys without signing
/// users out, put the new key in front and drop the old one after the idle time of a session (7
/// days by default), when every session in use has been sealed again. All machines of a site share
/// one ring; with several machines, first add the new key behind the old one everywhere.
///
/// `openssl rand -hex 32` creates a key. Keys that could be guessed are refused:
///
/// 1. A key has at least 32 bytes.
/// 2. It is not text, that is, UTF-8 without control characters.
/// 3. It has at least 16 different bytes, written with at least 11 different hex digits.
/// 4. It has no pattern, such as a sequence or a repeated block: at no distance up to 16 do a
///    quarter of its bytes differ by the same amount.
/// 5. A written key with at most 4 characters other than hex digits is hex, and must then be an
///    even number of hex digits.
/// 6. Any other is base64, in the standard or the URL-safe alphabet, with or without padding. It
///    has both upper-case and lower-case letters.
///
/// About one random key in a billion is refused. The rules catch mistakes; a key that only looks
/// random is still no secret.
///
/// ```
/// # use tower_qq_auth::{ConfigError, SessionKeys};
/// # fn read(new_key: &str, old_key: &str) -> Result<SessionKeys, ConfigError> {
/// let keys = SessionKeys::parse(&format!("{new_key},{old_key}"))?;
/// # Ok(keys)
/// # }
/// ```
#[derive(Clone)]
pub struct SessionKeys(Arc<[Vec<u8>]>);

impl SessionKeys {
    /// Creates a ring of one key, at least 32 random bytes. For a key that is written in hex or
    /// base64, use [`parse`](Self::parse).
    ///
    /// # Errors
    ///
    /// Returns an error if the key breaks one of the first four [rules](Self).
    pub fn new(key: &[u8]) -> Result<Self, ConfigError> {
        match check(key) {
            Ok(()) => Ok(Self(Arc::new([key.to_vec()]))),
            Err(problem) => Err(ConfigError::new(SETTING, problem)),
        }
    }

    /// Creates a ring of one random key, for development and tests: all users are signed out when
    /// the process ends.
    pub fn generate() -> Self {
        Self(Arc::new([random_bytes::<32>().to_vec()]))
    }

    /// Parses one key, or several separated by commas with the newest first. Each is written in hex
    /// or base64.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no key, with one line for each key that breaks one of the
    /// [rules](Self).
    pub fn parse(keys: &str) -> Result<Self, ConfigError> {
        Self::parse_setting(SETTING, keys)
    }

    fn parse_setting(setting: &str, keys: &str) -> Result<Self, ConfigError> {
        if let Some(problem) = find_wrapping(keys) {
            return Err(ConfigError::new(setting, problem));
        }
        let texts: Vec<&str> = keys.split(',').map(str::trim).collect();
        let mut errors = ConfigErrors::default();
        let mut ring = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let position = match texts.len() {
                1 => String::new(),
                count => format!("number {} of {count} ", index + 1),
            };
            let key = decode(text).and_then(|key| check(&key).map(|()| key));
            let key = key
                .map_err(|problem| ConfigError::new(setting, format_args!("{position}{problem}")));
            ring.extend(errors.collect(key));
        }
        errors.finish()?;
        Ok(Self(ring.into()))
    }

    /// Reads the keys from the environment variable `QQ_SESSION_KEY`, or from the file that
    /// `QQ_SESSION_KEY_FILE` names, as [`parse`](Self::parse) does.
    ///
    /// # Errors
    ///
    /// Returns an error if neither or both are set, if the file cannot be read, or as `parse` does.
    pub fn from_env() -> Result<Self, ConfigError> {
        match read_secret("session key", "QQ_SESSION_KEY")? {
            Some(keys) => Self::parse_setting(&keys.setting, &keys.text),
            None => Err(ConfigError::new(
                SETTING,
                "is not set: create one with `openssl rand -hex 32`",
            )),
        }
    }

    /// Iterates over the raw keys, newest first; there is at least one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

const NOT_HEX: &str = "must be an even number of hex digits and nothing else";
const TEXT: &str = "is text, not random bytes: create one with `openssl rand -hex 32` \
    and read it with `SessionKeys::parse`";

/// Decodes hex or base64.
fn decode(key: &str) -> Result<Vec<u8>, &'static str> {
    let others = key.bytes().filter(|byte| !byte.is_ascii_hexdigit()).count();
    // Random base64 has far more, so a mistyped hex key does not pass for base64.
    if others <= 4 {
        if others > 0 || key.len() % 2 != 0 {
            return Err(NOT_HEX);
        }
        let byte = |at| u8::from_str_radix(&key[at..at + 2], 16);
        let bytes: Result<_, _> = (0..key.len()).step_by(2).map(byte).collect();
        return bytes.map_err(|_| NOT_HEX);
    }
    let any_padding =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, any_padding).decode(key).ok())
        .ok_or("must be hex or base64")?;
    let has_both_cases = key.bytes().any(|byte| byte.is_ascii_lowercase())
        && key.bytes().any(|byte| byte.is_ascii_uppercase());
    if has_both_cases { Ok(bytes) } else { Err(TEXT) }
}

/// Returns an error if the key could be guessed. Each rule refuses less than one in a billion of
/// random keys.
fn check(key: &[u8]) -> Result<(), &'static str> {
    if key.len() < MIN_LEN {
        Err("is too short: use 32 random bytes, from `openssl rand -hex 32`")
    } else if is_text(key) {
        Err(TEXT)
    } else if !is_varied(key) || has_pattern(key) {
        Err("is not random: create one with `openssl rand -hex 32`")
    } else {
        Ok(())
    }
}

/// Returns whether a key is text, also with white space at its end or in a longer buffer of zeros.
fn is_text(key: &[u8]) -> bool {
    let is_allowed = |ch: char| !ch.is_control() || ch.is_ascii_whitespace();
    str::from_utf8(key).is_ok_and(|text| {
        let text = text.trim_end_matches('\0');
        !text.is_empty() && text.chars().all(is_allowed)
    })
}

/// Returns whether a key has enough different bytes and different hex digits.
fn is_varied(key: &[u8]) -> bool {
    let (mut bytes, mut digits) = ([0_u64; 4], 0_u16);
    for byte in key {
        bytes[usize::from(byte >> 6)] |= 1 << (byte & 63);
        digits |= 1 << (byte >> 4) | 1 << (byte & 15);
    }
    let bytes: u32 = bytes.into_iter().map(u64::count_ones).sum();
    bytes >= 16 && digits.count_ones() >= 11
}

/// Returns whether a key has a sequence or repeated blocks. Longer distances do not matter: a block
/// of 17 random bytes cannot be guessed.
fn has_pattern(key: &[u8]) -> bool {
    for distance in 1..=16 {
        let mut counts = [0_usize; 256];
        for at in distance..key.len() {
            let step = usize::from(key[at].wrapping_sub(key[at - distance]));
            counts[step] += 1;
            if counts[step] * 4 >= key.len() {
                return true;
            }
        }
    }
    false
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKeys({} keys, [redacted])", self.0.len())
    }
}
