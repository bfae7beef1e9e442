//! Any `return_to`: the login ends on the site, however a browser reads it.

#![no_main]

use http::header;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use tower_qq_auth_fuzz::{CALLBACK, with_harness};
use url::Url;

fuzz_target!(|return_to: &[u8]| with_harness(|harness| {
    let login = harness.start_login(&return_to[..return_to.len().min(4096)]);
    let reply = harness.finish_login(&login);
    let location = reply.headers[header::LOCATION].to_str().unwrap();
    let site = Url::parse(CALLBACK).unwrap();
    let assert_local = |location: &str| {
        let seen = site.join(location).unwrap();
        assert_eq!(seen.origin(), site.origin(), "{location}");
        assert!(!seen.path().starts_with("//"), "{location}");
        seen
    };
    let seen = assert_local(location);
    let (path, _) = location.split_once(['?', '#']).unwrap_or((location, ""));
    assert_local(&percent_decode_str(path).decode_utf8_lossy());
    // As a URL parser writes it back.
    assert_local(&seen[url::Position::BeforePath..]);
    assert!(!["/auth/qq/login", "/auth/qq/callback", "/auth/qq/logout"].contains(&seen.path()));
}));
