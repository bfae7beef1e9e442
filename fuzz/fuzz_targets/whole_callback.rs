//! A whole login with any replies of QQ: token, `/me` and profile, separated by `\n%\n`. Each is a
//! body, or a status, a blank line and a body.

#![no_main]

use bytes::Bytes;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{Replies, with_harness};

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

fuzz_target!(|input: &[u8]| with_harness(|harness| {
    harness.set_replies(replies(input));
    let before = harness.calls();
    let (reply, user) = harness.login();
    // One call for the token, up to two each for `/me` and the profile.
    assert!((1..=5).contains(&(harness.calls() - before)));
    assert!(
        [303, 400, 424].contains(&reply.status.as_u16()),
        "{reply:?}"
    );
    assert_eq!(user.is_some(), reply.status == StatusCode::SEE_OTHER);
}));
