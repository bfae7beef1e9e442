//! Random bytes from the system, and how they are written as text.

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // AWS-LC aborts the process itself if the system has no entropy.
    rand::fill(&mut bytes).expect("the system provides random bytes");
    bytes
}

/// Returns a support code: eight characters that are easy to read out (Crockford's base 32).
pub(crate) fn generate_support_code() -> String {
    let digit = |byte: &u8| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[usize::from(byte % 32)]);
    random_bytes::<8>().iter().map(digit).collect()
}

/// Returns whether a text consists of `[A-Za-z0-9_-]` only.
pub(crate) fn is_url_safe(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Encodes bytes as text of `[A-Za-z0-9_-]`.
pub(crate) fn url_safe(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
