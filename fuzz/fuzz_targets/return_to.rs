//! Any `return_to`: the login ends on the site or at a trusted origin, however a browser reads it.

#![no_main]

use http::header;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use tower_qq_auth_fuzz::{CALLBACK, Harness, TRUSTED, with_harness, with_prefixed_harness};
use url::Url;

fuzz_target!(|return_to: &[u8]| {
    with_harness(|harness| check(harness, return_to, ""));
    with_prefixed_harness(|harness| check(harness, return_to, "/club"));
});

fn check(harness: &Harness, return_to: &[u8], prefix: &str) {
    let login = harness.start_login(&return_to[..return_to.len().min(4096)]);
    let reply = harness.finish_login(&login);
    let location = reply.headers[header::LOCATION].to_str().unwrap();
    let (base, url) = match location.strip_prefix(TRUSTED) {
        Some(url) => (Url::parse(TRUSTED).unwrap(), url),
        None => (Url::parse(CALLBACK).unwrap(), location),
    };
    assert!(url.starts_with('/'), "{location}");
    let assert_local = |url: &str| {
        let seen = base.join(url).unwrap();
        assert_eq!(seen.origin(), base.origin(), "{location}");
        assert!(!seen.path().starts_with("//"), "{location}");
        seen
    };
    let seen = assert_local(url);
    assert_eq!(base.join(location).unwrap(), seen, "{location}");
    let (path, _) = url.split_once(['?', '#']).unwrap_or((url, ""));
    assert_local(&percent_decode_str(path).decode_utf8_lossy());
    // As a URL parser writes it back.
    assert_local(&seen[url::Position::BeforePath..]);
    let mut path = seen.path();
    if url == location {
        path = path.strip_prefix(prefix).expect(location);
        assert!(path.is_empty() || path.starts_with('/'), "{location}");
    }
    assert!(!["/auth/qq/login", "/auth/qq/callback", "/auth/qq/logout"].contains(&path));
}
