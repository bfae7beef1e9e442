//! Any content of a session cookie, sealed with the keys of the site: a session or none.

#![no_main]

use http::{StatusCode, Uri};
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{SESSION, seal_session, with_harness};

fuzz_target!(|content: &[u8]| with_harness(|harness| {
    let value = seal_session(content);
    let cookie = format!("{SESSION}={value}");
    let page = harness.get(Uri::from_static("/"), &[cookie.as_bytes()]);
    assert_eq!(page.status, StatusCode::OK);
}));
