//! The key ring, and sealing with it: AES-256-GCM-SIV under keys derived by HKDF-SHA256 for one purpose each.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
    hmac::{self, HMAC_SHA256},
    rand,
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_URL_SAFE_NO_PAD,
};

use crate::{ConfigError, meter};

const SETTING: &str = "session key (QQ_SESSION_KEY)";
const MIN_LEN: usize = 32;
const MIN_DISTINCT: usize = 8;
/// Browsers drop a cookie of more bytes than this, name, value and attributes together, without a word.
pub(crate) const MAX_COOKIE: usize = 4096;

/// The keys that seal this site's cookies.
///
/// A ring: the first key seals, every key opens. To change keys without signing anyone out, put the new one in front
/// and drop the old one after the idle time of a session (7 days): whoever came by since has a cookie under the new key.
/// All machines of a site share one ring; with several, add the new key behind the old one everywhere first.
///
/// ```
/// # use tower_qq_auth::{ConfigError, SessionKeys};
/// # fn main() -> Result<(), ConfigError> {
/// // `openssl rand -hex 32` makes such a key.
/// let today = "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3";
/// let before = "b5dGzYz1Zl0Yj6cC7xJ3q9Wm2Kf8Tn4Rv5Qs1Lp0Ahg=";
/// let keys = SessionKeys::parse(&format!("{today},{before}"))?;
/// # drop(keys);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionKeys(Arc<[Vec<u8>]>);

impl SessionKeys {
    /// One key: 32 random bytes or more.
    ///
    /// # Errors
    ///
    /// If it is shorter than 32 bytes, or has fewer than 8 different bytes and so cannot be random.
    pub fn new(key: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new([strong(key.to_vec())?])))
    }

    /// A fresh random key. Whoever is signed in is signed out when the process ends: for development and tests.
    pub fn generate() -> Self {
        Self(Arc::new([random::<32>().to_vec()]))
    }

    /// One key or several separated by commas, the newest first; each in hex or base64 (any alphabet, padded or not).
    ///
    /// # Errors
    ///
    /// If there is none, or one of them is neither hex nor base64 or too weak.
    pub fn parse(keys: &str) -> Result<Self, ConfigError> {
        let keys = keys.split(',').map(|key| strong(decode(key.trim())?));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// The keys in the environment variable `QQ_SESSION_KEY`, as [`parse`](Self::parse) takes them.
    ///
    /// # Errors
    ///
    /// If the variable is missing, or as `parse`.
    pub fn from_env() -> Result<Self, ConfigError> {
        match std::env::var("QQ_SESSION_KEY") {
            Ok(keys) if !keys.trim().is_empty() => Self::parse(&keys),
            Err(std::env::VarError::NotUnicode(_)) => Err(ConfigError::new(SETTING, "is not text")),
            _ => Err(ConfigError::new(
                SETTING,
                "is not set; `openssl rand -hex 32` makes one",
            )),
        }
    }
}

fn decode(key: &str) -> Result<Vec<u8>, ConfigError> {
    if key.len() % 2 == 0 && key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let digits = |at| u8::from_str_radix(&key[at..at + 2], 16);
        if let Ok(key) = (0..key.len()).step_by(2).map(digits).collect() {
            return Ok(key);
        }
    }
    let either_padding = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| {
            GeneralPurpose::new(alphabet, either_padding)
                .decode(key)
                .ok()
        })
        .ok_or_else(|| ConfigError::new(SETTING, "is neither hex nor base64"))
}

fn strong(key: Vec<u8>) -> Result<Vec<u8>, ConfigError> {
    let distinct = (0..=u8::MAX).filter(|byte| key.contains(byte)).count();
    if key.len() < MIN_LEN {
        let problem = "is too short; 32 random bytes are needed, `openssl rand -hex 32` makes them";
        Err(ConfigError::new(SETTING, problem))
    } else if distinct < MIN_DISTINCT {
        let problem = "is not random; `openssl rand -hex 32` makes a key that is";
        Err(ConfigError::new(SETTING, problem))
    } else {
        Ok(key)
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKeys({} keys, [redacted])", self.0.len())
    }
}

/// Seals values for one purpose, so that none is accepted in another's place.
#[derive(Clone)]
pub(crate) struct Seal(Arc<[RandomizedNonceKey]>);

impl Seal {
    pub(crate) fn new(keys: &SessionKeys, purpose: &str) -> Self {
        let key = |key: &Vec<u8>| {
            RandomizedNonceKey::new(&AES_256_GCM_SIV, &derive(key, purpose))
                // AES-256 takes keys of 32 bytes.
                .expect("a derived key is one of AES-256")
        };
        Self(keys.0.iter().map(key).collect())
    }

    /// `nonce | ciphertext | tag` in base64url, readable only together with the same `context`.
    pub(crate) fn seal(&self, context: &[u8], plain: &[u8]) -> String {
        let mut sealed = plain.to_vec();
        let nonce = self.0[0]
            .seal_in_place_append_tag(Aad::from(context), &mut sealed)
            // It fails only for texts of many gigabytes.
            .expect("a cookie can be sealed");
        sealed.splice(..0, nonce.as_ref().iter().copied());
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }

    /// What was sealed, if any key of the ring opens it.
    pub(crate) fn open(&self, context: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        if value.len() > MAX_COOKIE {
            return None;
        }
        self.0.iter().enumerate().find_map(|(at, key)| {
            // Opened in its place, whether it opens or not: each key needs it anew.
            let mut bytes = Vec::with_capacity(value.len());
            BASE64_URL_SAFE_NO_PAD.decode_vec(value, &mut bytes).ok()?;
            let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
            let nonce = Nonce::from(&*nonce);
            let plain = key.open_in_place(nonce, Aad::from(context), sealed).ok()?;
            let length = plain.len();
            bytes.truncate(NONCE_LEN + length);
            bytes.drain(..NONCE_LEN);
            if at > 0 {
                meter::old_key_used();
            }
            Some(bytes)
        })
    }
}

/// Digests that say nothing without the keys.
#[derive(Clone)]
pub(crate) struct Digests(Arc<[hmac::Key]>);

impl Digests {
    pub(crate) fn new(keys: &SessionKeys, purpose: &str) -> Self {
        let key = |key: &Vec<u8>| hmac::Key::new(HMAC_SHA256, &derive(key, purpose));
        Self(keys.0.iter().map(key).collect())
    }

    /// The digest under each key of the ring, the newest first.
    pub(crate) fn of<'d>(&'d self, parts: &[&str]) -> impl Iterator<Item = [u8; 16]> + use<'d> {
        let text = parts.join("\n");
        self.0.iter().map(move |key| {
            let digest = hmac::sign(key, text.as_bytes());
            let mut half = [0; 16];
            half.copy_from_slice(&digest.as_ref()[..16]);
            half
        })
    }
}

/// A key for one purpose only.
fn derive(key: &[u8], purpose: &str) -> [u8; 32] {
    let mut derived = [0; 32];
    Salt::new(HKDF_SHA256, b"tower-qq-auth 1")
        .extract(key)
        .expand(&[purpose.as_bytes()], HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut derived))
        // HKDF-SHA256 gives up to 8160 bytes.
        .expect("32 bytes can be derived");
    derived
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // AWS-LC ends the process itself where the system has no randomness to give.
    rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// Bytes as text of `[A-Za-z0-9_-]`.
pub(crate) fn url_safe(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{MAX_COOKIE, Seal, SessionKeys};

    proptest! {
        #[test]
        fn what_was_sealed_opens_only_under_its_keys_purpose_and_context(
            plain in vec(any::<u8>(), 0..2000),
            (context, other_context) in (vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..40)),
            (purpose, other_purpose) in ("[a-z]{1,9}", "[a-z]{1,9}"),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let keys = SessionKeys::generate();
            let seal = Seal::new(&keys, &purpose);
            let sealed = seal.seal(&context, &plain);
            let open = |seal: &Seal, context: &[u8]| seal.open(context, sealed.as_bytes());
            prop_assert_eq!(open(&seal, &context), Some(plain.clone()));
            prop_assert_eq!(open(&seal, &other_context).is_some(), context == other_context);
            let other = Seal::new(&keys, &other_purpose);
            prop_assert_eq!(open(&other, &context).is_some(), purpose == other_purpose);
            let foreign = Seal::new(&SessionKeys::generate(), &purpose);
            prop_assert_eq!(open(&foreign, &context), None);

            let mut changed = sealed.clone().into_bytes();
            let at = at.index(changed.len());
            let same = changed[at] == byte;
            changed[at] = byte;
            prop_assert_eq!(seal.open(&context, &changed).is_some(), same);
            prop_assert_eq!(seal.open(&context, &sealed.as_bytes()[..at]), None);
        }

        #[test]
        fn nothing_opens_by_chance(value in vec(any::<u8>(), 0..300), text in "[A-Za-z0-9_-]{0,300}") {
            let seal = Seal::new(&SessionKeys::generate(), "session");
            prop_assert_eq!(seal.open(b"", &value), None);
            prop_assert_eq!(seal.open(b"", text.as_bytes()), None);
        }
    }

    #[test]
    fn what_is_longer_than_a_cookie_is_not_opened() {
        let seal = Seal::new(&SessionKeys::generate(), "session");
        let opens = |length: usize| {
            let sealed = seal.seal(b"", &vec![0; length]);
            seal.open(b"", sealed.as_bytes()).is_some()
        };
        // With 28 bytes of nonce and tag, in base64.
        let longest = MAX_COOKIE / 4 * 3 - 28;
        assert!(opens(longest));
        assert!(!opens(longest + 1));
        assert!(!opens(longest * 2));
    }
}
