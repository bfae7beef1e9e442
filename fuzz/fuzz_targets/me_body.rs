//! Any body as QQ's reply to `/me`.

#![no_main]

use bytes::Bytes;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{PROFILE, TOKEN, ok, with_harness};

fuzz_target!(|body: &[u8]| with_harness(|harness| {
    let me = (StatusCode::OK, Bytes::copy_from_slice(body));
    harness.set_replies([ok(TOKEN), me, ok(PROFILE)]);
    let (reply, user) = harness.login();
    assert!(
        [303, 400, 424].contains(&reply.status.as_u16()),
        "{reply:?}"
    );
    if let Some(user) = user {
        let holds = |text: &str| {
            body.windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        // JSON escapes can hide both.
        assert!(holds(&user) || holds("\\u"), "{user}");
        assert!(holds("101905280") || holds("\\u"));
    }
}));
