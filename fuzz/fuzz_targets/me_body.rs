//! Any body as QQ's reply to `/me`.

#![no_main]

use bytes::Bytes;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{PROFILE, TOKEN, ok, on_stage};

fuzz_target!(|body: &[u8]| on_stage(|stage| {
    let said = (StatusCode::OK, Bytes::copy_from_slice(body));
    stage.qq_says([ok(TOKEN), said, ok(PROFILE)]);
    let (answer, user) = stage.login();
    assert!(
        [303, 400, 502, 503].contains(&answer.status.as_u16()),
        "{answer:?}"
    );
    if let Some(user) = user {
        let holds = |text: &str| {
            body.windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        // Escapes can spell both otherwise.
        assert!(holds(&user) || holds("\\u"), "{user}");
        assert!(holds("101905280") || holds("\\u"));
    }
}));
