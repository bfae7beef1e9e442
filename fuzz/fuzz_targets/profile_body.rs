//! Any body as QQ's profile reply.

#![no_main]

use bytes::Bytes;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{ME, OPENID, TOKEN, ok, with_harness};

fuzz_target!(|body: &[u8]| with_harness(|harness| {
    let profile = (StatusCode::OK, Bytes::copy_from_slice(body));
    harness.set_replies([ok(TOKEN), ok(ME), profile]);
    let (reply, user) = harness.login();
    // The profile does not decide about the login.
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_eq!(user.as_deref(), Some(OPENID));
}));
