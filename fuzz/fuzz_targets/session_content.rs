//! Any content of a session cookie, sealed with the keys of the site: a session or none.

#![no_main]

use http::{StatusCode, Uri};
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{APP_ID, SESSION, seal_session, with_harness};

fuzz_target!(|content: &[u8]| with_harness(|harness| {
    let value = seal_session(content);
    let cookie = format!("{SESSION}={value}");
    let page = harness.get(Uri::from_static("/"), &[cookie.as_bytes()]);
    assert_eq!(page.status, StatusCode::OK);
    if let Some(app_id) = page.app_id {
        // The id of another app is what follows the fields.
        let is_digit = |byte: u8| byte.is_ascii_digit();
        assert!((1..=20).contains(&app_id.len()) && app_id.bytes().all(is_digit));
        assert!(app_id == APP_ID || content.ends_with(app_id.as_bytes()));
    }
}));
