//! Any body as QQ's reply to the token's call.

#![no_main]

use bytes::Bytes;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{ME, PROFILE, ok, on_stage};

fuzz_target!(|body: &[u8]| on_stage(|stage| {
    let said = (StatusCode::OK, Bytes::copy_from_slice(body));
    stage.qq_says([said, ok(ME), ok(PROFILE)]);
    let (answer, user) = stage.login();
    assert!(
        [303, 400, 502, 503].contains(&answer.status.as_u16()),
        "{answer:?}"
    );
    assert_eq!(user.is_some(), answer.status == StatusCode::SEE_OTHER);
}));
