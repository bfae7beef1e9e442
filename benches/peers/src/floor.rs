//! What nobody can leave out who keeps this session in a sealed cookie.

use std::{hint::black_box, time::Instant};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use axum::http::Extensions;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::person::{Person, person};

/// As long as what our cookie holds.
#[derive(Serialize, Deserialize)]
struct Session {
    version: u8,
    id: [u8; 16],
    user_id: [u8; 16],
    began: u64,
    renewed: u64,
    user: Person,
    tokens: Option<()>,
}

pub struct Floor {
    key: RandomizedNonceKey,
    value: String,
}

const CONTEXT: &[u8] = b"session\n__Host-qq_session\n101905280";

impl Floor {
    /// The work on a cookie as long as this one.
    pub fn like(cookie: &str) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &[7; 32]).expect("a key");
        let session = Session {
            version: 1,
            id: [1; 16],
            user_id: [2; 16],
            began: 1_800_000_000_000,
            renewed: 1_800_000_000_000,
            user: person(),
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
        assert_eq!(
            value.len(),
            ours.len(),
            "the floor does the work on as many bytes"
        );
        Self { key, value }
    }

    /// Nanoseconds for each of so many cookies.
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
