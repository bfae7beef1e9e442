//! Any `Cookie` headers, one a line; `GOOD` stands for a value that was sealed for somebody.

#![no_main]

use std::sync::OnceLock;

use http::Uri;
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{OPENID, SESSION, on_stage, replaced};

static GOOD: OnceLock<String> = OnceLock::new();

fuzz_target!(|headers: &[u8]| on_stage(|stage| {
    let good = GOOD.get_or_init(|| stage.session());
    let headers = replaced(headers, b"GOOD", good.as_bytes());
    let headers: Vec<_> = headers.split(|&byte| byte == b'\n').collect();
    let page = stage.get(Uri::from_static("/"), &headers);
    if let Some(user) = page.user {
        assert_eq!(user, OPENID);
        let name = SESSION.as_bytes();
        let named = |header: &&[u8]| header.windows(name.len()).any(|window| window == name);
        assert!(headers.iter().any(named));
    }
}));
