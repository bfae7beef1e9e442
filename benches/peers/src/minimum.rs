//! The least work that a session in a sealed cookie needs.

use std::{hint::black_box, time::Instant};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use axum::http::Extensions;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::user::{User, user};

/// As long as the content of our cookie.
#[derive(Serialize, Deserialize)]
struct Session {
    version: u8,
    id: [u8; 16],
    user_id: [u8; 16],
    started: u64,
    renewed: u64,
    user: User,
    tokens: Option<()>,
}

pub struct Minimum {
    key: RandomizedNonceKey,
    value: String,
}

const CONTEXT: &[u8] = b"session\n__Host-qq_session\n101905280";

impl Minimum {
    /// Prepares a cookie as long as this one.
    pub fn like(cookie: &str) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &[7; 32]).expect("a key");
        let session = Session {
            version: 1,
            id: [1; 16],
            user_id: [2; 16],
            started: 1_800_000_000_000,
            renewed: 1_800_000_000_000,
            user: user(),
            tokens: None,
        };
        let mut sealed = postcard::to_allocvec(&session).expect("postcard");
        let nonce = key
            .seal_in_place_append_tag(Aad::from(CONTEXT), &mut sealed)
            .expect("sealed");
        let mut bytes = nonce.as_ref().to_vec();
        bytes.append(&mut sealed);
        let value = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (_, ours) = cookie.split_once('=').expect("a cookie");
        assert_eq!(value.len(), ours.len(), "both cookies have the same length");
        Self { key, value }
    }

    /// Opens this many cookies and returns the nanoseconds per cookie.
    pub fn time(&self, batch: usize) -> f64 {
        let mut extensions: Vec<_> = (0..batch).map(|_| Extensions::new()).collect();
        let start = Instant::now();
        for extensions in &mut extensions {
            extensions.insert(self.open().user);
        }
        let elapsed = start.elapsed().as_nanos() as f64 / batch as f64;
        black_box(extensions);
        elapsed
    }

    fn open(&self) -> Session {
        let mut sealed = Vec::with_capacity(self.value.len());
        BASE64_URL_SAFE_NO_PAD
            .decode_vec(black_box(&self.value), &mut sealed)
            .expect("base64");
        let (nonce, sealed) = sealed
            .split_first_chunk_mut::<NONCE_LEN>()
            .expect("a nonce");
        let plain = self
            .key
            .open_in_place(Nonce::from(&*nonce), Aad::from(CONTEXT), sealed);
        postcard::from_bytes(plain.expect("opened")).expect("postcard")
    }
}
