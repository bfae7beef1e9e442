//! Any body as QQ's reply to the profile's call.

#![no_main]

use bytes::Bytes;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{ME, OPENID, TOKEN, ok, on_stage};

fuzz_target!(|body: &[u8]| on_stage(|stage| {
    let said = (StatusCode::OK, Bytes::copy_from_slice(body));
    stage.qq_says([ok(TOKEN), ok(ME), said]);
    let (answer, user) = stage.login();
    // A profile decides nothing.
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(user.as_deref(), Some(OPENID));
}));
