//! Any values of the layer's cookies, or valid values with some bytes replaced.

#![no_main]

use http::{StatusCode, Uri};
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{SESSION, with_harness};

/// Returns the input or, if its first byte is odd, the valid value with some bytes replaced by it.
fn corrupt(good: &str, input: &[u8]) -> Vec<u8> {
    match input {
        [how, at, rest @ ..] if how % 2 == 1 => {
            let mut value = good.as_bytes().to_vec();
            let at = usize::from(*at) % value.len();
            let end = (at + rest.len()).min(value.len());
            value.splice(at..end, rest.iter().copied());
            value
        }
        _ => input.to_vec(),
    }
}

fuzz_target!(|input: &[u8]| with_harness(|harness| {
    let good = harness.session();
    let value = corrupt(&good, input);
    let cookie = [SESSION.as_bytes(), b"=", &value].concat();
    let page = harness.get(Uri::from_static("/"), &[&cookie]);
    let sent = value.split(|&byte| byte == b';').next().unwrap_or_default();
    if sent.trim_ascii() != good.as_bytes() {
        assert_eq!(page.user, None);
    }

    let login = harness.start_login(b"/");
    let value = corrupt(&login.cookie.1, input);
    let cookie = [login.cookie.0.as_bytes(), b"=", &value].concat();
    let uri = format!("/auth/qq/callback?code=C0DE&state={}", login.state);
    let before = harness.calls();
    let reply = harness.get(uri.parse().unwrap(), &[&cookie]);
    let sent = value.split(|&byte| byte == b';').next().unwrap_or_default();
    if sent.trim_ascii() != login.cookie.1.as_bytes() {
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(harness.calls(), before);
    }
}));
