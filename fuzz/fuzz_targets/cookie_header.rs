//! Any `Cookie` headers, one per line; `GOOD` stands for a valid session.

#![no_main]

use std::sync::OnceLock;

use http::Uri;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{OPENID, SESSION, replace, with_harness};

static GOOD: OnceLock<String> = OnceLock::new();

fuzz_target!(|headers: &[u8]| with_harness(|harness| {
    let good = GOOD.get_or_init(|| harness.session());
    let headers = replace(headers, b"GOOD", good.as_bytes());
    let headers: Vec<_> = headers.split(|&byte| byte == b'\n').collect();
    let page = harness.get(Uri::from_static("/"), &headers);
    if let Some(user) = page.user {
        assert_eq!(user, OPENID);
        let name = SESSION.as_bytes();
        let has_name = |header: &&[u8]| header.windows(name.len()).any(|window| window == name);
        assert!(headers.iter().any(has_name));
    }
}));
