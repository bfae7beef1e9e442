//! Any query at the callback of a login under way; `STATE` stands for its state.

#![no_main]

use http::{StatusCode, Uri};
use libfuzzer_sys::fuzz_target;
use tower_qq_auth_fuzz::{SESSION, on_stage, replaced};

fuzz_target!(|query: &[u8]| on_stage(|stage| {
    let login = stage.start(b"/");
    let query = replaced(query, b"STATE", login.state.as_bytes());
    let uri = [b"/auth/qq/callback?", &query[..]].concat();
    let Ok(uri) = Uri::try_from(uri) else {
        return;
    };
    let (name, value) = &login.cookie;
    let before = stage.calls();
    let answer = stage.get(uri, &[format!("{name}={value}").as_bytes()]);
    let called = stage.calls() > before;
    let known = query != replaced(&query, login.state.as_bytes(), b"") || query.contains(&b'%');
    assert!(known || !called, "QQ is called for a good state only");
    assert_eq!(
        answer.cookie(SESSION).is_some(),
        answer.status == StatusCode::SEE_OTHER
    );
    assert!(
        [303, 400, 403].contains(&answer.status.as_u16()),
        "{answer:?}"
    );
    assert_eq!(called, answer.status == StatusCode::SEE_OTHER);
}));
