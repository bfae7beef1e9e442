//! Any body as QQ's token reply.

#![no_main]

use bytes::Bytes;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{ME, PROFILE, ok, with_harness};

fuzz_target!(|body: &[u8]| with_harness(|harness| {
    let token = (StatusCode::OK, Bytes::copy_from_slice(body));
    harness.set_replies([token, ok(ME), ok(PROFILE)]);
    let (reply, user) = harness.login();
    assert!(
        [303, 400, 424].contains(&reply.status.as_u16()),
        "{reply:?}"
    );
    assert_eq!(user.is_some(), reply.status == StatusCode::SEE_OTHER);
}));
