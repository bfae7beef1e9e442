//! Hashes that allow inline styles and scripts.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Returns the hash of an inline style or script, for a `Content-Security-Policy`.
pub(super) fn csp_hash(text: &str) -> String {
    let hash = BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!("'sha256-{hash}'")
}
