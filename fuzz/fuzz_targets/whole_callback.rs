//! A whole login against a QQ that answers anything: three replies (token, `/me`, profile) with `\n%\n` between them,
//! each a body, or a status and a blank line before it.

#![no_main]

use bytes::Bytes;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{Replies, on_stage};

fn replies(mut input: &[u8]) -> Replies {
    std::array::from_fn(|_| {
        let end = input.windows(3).position(|window| window == b"\n%\n");
        let reply = &input[..end.unwrap_or(input.len())];
        input = end.map_or(&[][..], |end| &input[end + 3..]);
        let status = reply
            .get(..3)
            .and_then(|it| StatusCode::from_bytes(it).ok());
        match status.filter(|_| reply[3..].starts_with(b"\n\n")) {
            Some(status) => (status, Bytes::copy_from_slice(&reply[5..])),
            None => (StatusCode::OK, Bytes::copy_from_slice(reply)),
        }
    })
}

fuzz_target!(|input: &[u8]| on_stage(|stage| {
    stage.qq_says(replies(input));
    let before = stage.calls();
    let (answer, user) = stage.login();
    // The token once; `/me` and the profile twice at most.
    assert!((1..=5).contains(&(stage.calls() - before)));
    assert!(
        [303, 400, 502, 503].contains(&answer.status.as_u16()),
        "{answer:?}"
    );
    assert_eq!(user.is_some(), answer.status == StatusCode::SEE_OTHER);
}));
