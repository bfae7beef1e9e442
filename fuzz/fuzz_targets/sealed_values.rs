//! Values of our cookies: any bytes, or a good value with some of its bytes replaced.

#![no_main]

use http::{StatusCode, Uri};
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{SESSION, on_stage};

/// Any bytes, or (first byte odd) a good value that is overwritten by them from some place on.
fn changed(good: &str, input: &[u8]) -> Vec<u8> {
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

fuzz_target!(|input: &[u8]| on_stage(|stage| {
    let good = stage.session();
    let value = changed(&good, input);
    let cookie = [SESSION.as_bytes(), b"=", &value].concat();
    let page = stage.get(Uri::from_static("/"), &[&cookie]);
    let trimmed = value.split(|&byte| byte == b';').next().unwrap_or_default();
    if trimmed.trim_ascii() != good.as_bytes() {
        assert_eq!(page.user, None);
    }

    let login = stage.start(b"/");
    let value = changed(&login.cookie.1, input);
    let cookie = [login.cookie.0.as_bytes(), b"=", &value].concat();
    let uri = format!("/auth/qq/callback?code=C0DE&state={}", login.state);
    let before = stage.calls();
    let answer = stage.get(uri.parse().unwrap(), &[&cookie]);
    let trimmed = value.split(|&byte| byte == b';').next().unwrap_or_default();
    if trimmed.trim_ascii() != login.cookie.1.as_bytes() {
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(stage.calls(), before);
    }
}));
