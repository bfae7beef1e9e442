//! Where a login ends: on the site, however a browser reads it.

#![no_main]

use http::header;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use tower_qq_auth_fuzz::{CALLBACK, on_stage};
use url::Url;

fuzz_target!(|return_to: &[u8]| on_stage(|stage| {
    let login = stage.start(&return_to[..return_to.len().min(4096)]);
    let answer = stage.finish(&login);
    let location = answer.headers[header::LOCATION].to_str().unwrap();
    let site = Url::parse(CALLBACK).unwrap();
    let stays = |location: &str| {
        let seen = site.join(location).unwrap();
        assert_eq!(seen.origin(), site.origin(), "{location}");
        assert!(!seen.path().starts_with("//"), "{location}");
        seen
    };
    let seen = stays(location);
    let (path, _) = location.split_once(['?', '#']).unwrap_or((location, ""));
    stays(&percent_decode_str(path).decode_utf8_lossy());
    // As a program writes it that has read it as a URL.
    stays(&seen[url::Position::BeforePath..]);
    assert!(!["/auth/qq/login", "/auth/qq/callback", "/auth/qq/logout"].contains(&seen.path()));
}));
