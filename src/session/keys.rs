//! The keys that seal the cookies of a site.

use std::{fmt, sync::Arc};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::config::{ConfigError, ConfigErrors, read_variable};
use crate::random::random_bytes;

const SETTING: &str = "session key (QQ_SESSION_KEY)";
const MIN_LEN: usize = 32;
const MIN_DISTINCT: usize = 8;

/// The keys that seal this site's cookies.
///
/// The keys form a ring: the first one seals, and any of them opens. To change keys without signing
/// users out, put the new key in front and drop the old one after the idle time of a session (7
/// days by default), when every session in use has been sealed again. All machines of a site share
/// one ring; with several machines, first add the new key behind the old one everywhere.
///
/// ```
/// # use tower_qq_auth::{ConfigError, SessionKeys};
/// # fn main() -> Result<(), ConfigError> {
/// // `openssl rand -hex 32` creates such a key.
/// let new_key = "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3";
/// let old_key = "b5dGzYz1Zl0Yj6cC7xJ3q9Wm2Kf8Tn4Rv5Qs1Lp0Ahg=";
/// let keys = SessionKeys::parse(&format!("{new_key},{old_key}"))?;
/// # drop(keys);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionKeys(Arc<[Vec<u8>]>);

impl SessionKeys {
    /// Creates a ring of one key, at least 32 random bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the key is shorter than 32 bytes, or has fewer than 8 different bytes
    /// and thus cannot be random.
    pub fn new(key: &[u8]) -> Result<Self, ConfigError> {
        check(key, "")?;
        Ok(Self(Arc::new([key.to_vec()])))
    }

    /// Creates a ring of one random key, for development and tests: all users are signed out when
    /// the process ends.
    pub fn generate() -> Self {
        Self(Arc::new([random_bytes::<32>().to_vec()]))
    }

    /// Parses one key, or several separated by commas with the newest first. Each is written in hex
    /// or base64, in the standard or the URL-safe alphabet, with or without padding.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no key, or for each key that is neither hex nor base64, shorter
    /// than 32 bytes or not random.
    pub fn parse(keys: &str) -> Result<Self, ConfigError> {
        let texts: Vec<&str> = keys.split(',').map(str::trim).collect();
        let mut errors = ConfigErrors::default();
        let mut ring = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let position = match texts.len() {
                1 => String::new(),
                count => format!("number {} of {count} ", index + 1),
            };
            let key = decode(text, &position).and_then(|key| check(&key, &position).map(|()| key));
            ring.extend(errors.collect(key));
        }
        errors.finish()?;
        Ok(Self(ring.into()))
    }

    /// Reads the keys from the environment variable `QQ_SESSION_KEY`, as [`parse`](Self::parse)
    /// does.
    ///
    /// # Errors
    ///
    /// Returns an error if the variable is not set, or as `parse` does.
    pub fn from_env() -> Result<Self, ConfigError> {
        match read_variable("QQ_SESSION_KEY", SETTING)? {
            Some(keys) => Self::parse(&keys),
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

fn decode(key: &str, position: &str) -> Result<Vec<u8>, ConfigError> {
    if key.len() % 2 == 0 && key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let byte = |index| u8::from_str_radix(&key[index..index + 2], 16);
        if let Ok(key) = (0..key.len()).step_by(2).map(byte).collect() {
            return Ok(key);
        }
    }
    let any_padding = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, any_padding).decode(key).ok())
        .ok_or_else(|| ConfigError::new(SETTING, format_args!("{position}must be hex or base64")))
}

fn check(key: &[u8], position: &str) -> Result<(), ConfigError> {
    let distinct = (0..=u8::MAX).filter(|byte| key.contains(byte)).count();
    let problem = if key.len() < MIN_LEN {
        "is too short: use 32 random bytes, from `openssl rand -hex 32`"
    } else if distinct < MIN_DISTINCT {
        "is not random: create one with `openssl rand -hex 32`"
    } else {
        return Ok(());
    };
    Err(ConfigError::new(
        SETTING,
        format_args!("{position}{problem}"),
    ))
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKeys({} keys, [redacted])", self.0.len())
    }
}
