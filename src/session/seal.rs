//! Sealing cookie values: AES-256-GCM-SIV, under keys that HKDF-SHA256 derives for one purpose
//! each.

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};
use base64::{Engine as _, engine::general_purpose::NO_PAD};

use super::{cookie::MAX_COOKIE, keys::SessionKeys};

/// Bytes that sealing adds: a nonce and a tag.
pub(crate) const SEAL_BYTES: usize = NONCE_LEN + 16;

/// The keys that seal values for one purpose. A value of one purpose never passes for another's.
pub(crate) struct Seal {
    keys: Box<[RandomizedNonceKey]>,
    base64url: Base64,
}

/// Decodes with AVX2 or NEON if the processor has it, several times as fast as without.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type Base64 = base64::engine::Simd;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Base64 = base64::engine::GeneralPurpose;

impl Seal {
    pub(crate) fn new(keys: &SessionKeys, purpose: &str) -> Self {
        let key = |key| {
            RandomizedNonceKey::new(&AES_256_GCM_SIV, &derive(key, purpose))
                // AES-256 takes any 32 bytes.
                .expect("a derived key has 32 bytes")
        };
        Self {
            keys: keys.iter().map(key).collect(),
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            base64url: Base64::url_safe(NO_PAD),
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            base64url: Base64::new(&base64::alphabet::URL_SAFE, NO_PAD),
        }
    }

    /// Returns `nonce | ciphertext | tag` in base64url, which opens only with the same `context`.
    pub(crate) fn seal(&self, context: &[u8], plain: &[u8]) -> String {
        let mut sealed = plain.to_vec();
        let nonce = self.keys[0]
            .seal_in_place_append_tag(Aad::from(context), &mut sealed)
            // Only texts of many gigabytes fail.
            .expect("a cookie value is short");
        sealed.splice(..0, nonce.as_ref().iter().copied());
        self.base64url.encode(sealed)
    }

    /// Opens a sealed value with any key of the ring, and reads what is inside. The second part is
    /// `true` if an old key opened it.
    pub(crate) fn open<T>(
        &self,
        context: &[u8],
        value: &[u8],
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<(T, bool)> {
        if value.len() > MAX_COOKIE {
            return None;
        }
        self.keys.iter().enumerate().find_map(|(at, key)| {
            // Opening overwrites the bytes even if it fails, so each key decodes them anew.
            let mut bytes = Vec::with_capacity(value.len());
            self.base64url.decode_vec(value, &mut bytes).ok()?;
            let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE_LEN>()?;
            let nonce = Nonce::from(&*nonce);
            let plain = key.open_in_place(nonce, Aad::from(context), sealed).ok()?;
            Some((read(plain)?, at > 0))
        })
    }
}

/// Derives a key for one purpose only.
fn derive(key: &[u8], purpose: &str) -> [u8; 32] {
    let mut derived = [0; 32];
    Salt::new(HKDF_SHA256, b"tower-qq-auth 1")
        .extract(key)
        .expand(&[purpose.as_bytes()], HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut derived))
        // HKDF-SHA256 yields up to 8160 bytes.
        .expect("32 bytes can be derived");
    derived
}
