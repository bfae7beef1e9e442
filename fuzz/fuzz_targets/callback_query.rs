//! Any query at the callback of a login in progress; `STATE` stands for its state.

#![no_main]

use http::{StatusCode, Uri};
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{SESSION, replace, with_harness};

fuzz_target!(|query: &[u8]| with_harness(|harness| {
    let login = harness.start_login(b"/");
    let query = replace(query, b"STATE", login.state.as_bytes());
    let uri = [b"/auth/qq/callback?", &query[..]].concat();
    let Ok(uri) = Uri::try_from(uri) else {
        return;
    };
    let (name, value) = &login.cookie;
    let before = harness.calls();
    let reply = harness.get(uri, &[format!("{name}={value}").as_bytes()]);
    let called = harness.calls() > before;
    let has_state = query != replace(&query, login.state.as_bytes(), b"") || query.contains(&b'%');
    assert!(has_state || !called, "QQ is called for a valid state only");
    assert_eq!(
        reply.cookie(SESSION).is_some(),
        reply.status == StatusCode::SEE_OTHER
    );
    assert!(
        [303, 400, 403].contains(&reply.status.as_u16()),
        "{reply:?}"
    );
    assert_eq!(called, reply.status == StatusCode::SEE_OTHER);
}));
