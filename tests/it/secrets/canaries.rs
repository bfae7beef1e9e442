//! Secret values to plant, a log to capture, and the search for the values in any encoding.

use std::collections::HashSet;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::json;
use tower_qq_auth::{
    QqApp, QqAppBuilder, SessionKeys,
    mock::{Endpoint, MockQq},
};

pub(crate) use crate::log::Log;
use crate::site::{APP_ID, CALLBACK};

// Each value differs from its encoded forms.
pub(crate) const KEY: &str = "canary/app+key=&%";
pub(crate) const CODE: &str = "canary/code+=&%";
pub(crate) const ACCESS: &str = "canary/access+token=&%";
pub(crate) const REFRESH: &str = "canary/refresh+token=&%";
pub(crate) const SESSION_KEY: &str = "canary/session+key=& \u{1}W5tJ8rVz2mQx";
pub(crate) const OLD_KEY: &str = "canary/older+key=&% \u{1}pL4kN8bT7cYw";
pub(crate) const PAGE: &str = "canary/page of a firewall";
#[cfg(feature = "redis")]
pub(crate) const PASSWORD: &str = "canary-redis-password";
pub(crate) const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";

/// Every secret that a login involves.
pub(crate) const SECRETS: &[&str] = &[KEY, CODE, ACCESS, REFRESH, SESSION_KEY, OLD_KEY, PAGE];

/// Fails if the text contains a secret, in any encoding.
#[track_caller]
pub(crate) fn assert_hidden(text: &str, secrets: &[&str]) {
    let text = Haystack::new(text);
    let secrets: HashSet<_> = secrets.iter().collect();
    for secret in secrets {
        if let Some(form) = text.find(secret) {
            panic!("{secret} is readable as {form} in {}", text.plain);
        }
    }
    // Catches parts of secrets, and encodings that are missing below.
    for part in ["canary", "Canary", "CANARY"] {
        if let Some(form) = text.find(part) {
            panic!("a part of a secret is readable as {form} in {}", text.plain);
        }
    }
}

/// A text to search, also percent-decoded once and twice.
struct Haystack {
    plain: String,
    decoded: [String; 2],
}

impl Haystack {
    fn new(text: &str) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let once = decode(text);
        let twice = decode(&once);
        Self {
            plain: text.to_owned(),
            decoded: [once, twice],
        }
    }

    /// Returns the form in which the text contains the secret, if any.
    fn find(&self, secret: &str) -> Option<String> {
        let forms = [
            secret.to_owned(),
            secret.replace('/', "\\/"),
            secret.replace('&', "&amp;"),
            secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
            format!("{:?}", secret.as_bytes())
                .trim_matches(['[', ']'])
                .to_owned(),
        ];
        let [once, twice] = &self.decoded;
        let texts = [&self.plain, once, twice];
        forms
            .into_iter()
            .chain(base64_forms(secret))
            .find(|form| texts.iter().any(|text| text.contains(form)))
    }
}

/// Iterates over the base64 forms of a secret inside a longer text, which depend on the offset in
/// its group of three bytes and on the alphabet.
fn base64_forms(secret: &str) -> impl Iterator<Item = String> {
    let spellings = [
        secret.to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
    ];
    spellings.into_iter().flat_map(|secret| {
        (0..3).flat_map(move |offset| {
            let text = format!("{}{secret}", &"..."[..offset]);
            let encoded = BASE64_STANDARD_NO_PAD.encode(&text);
            // The first and the last character depend on the text around the secret.
            let (first, last) = ((offset * 8).div_ceil(6), text.len() * 8 / 6);
            let inner = encoded[first..last].to_owned();
            let url_safe = inner.replace('+', "-").replace('/', "_");
            [inner, url_safe]
        })
    })
}

pub(crate) fn keys() -> SessionKeys {
    let keys = [SESSION_KEY, OLD_KEY].map(|key| BASE64_STANDARD_NO_PAD.encode(key));
    SessionKeys::parse(&keys.join(",")).unwrap()
}

pub(crate) fn secret_app() -> QqAppBuilder {
    QqApp::builder(APP_ID, KEY, CALLBACK).request_union_id()
}

pub(crate) fn secret_qq() -> MockQq {
    MockQq::new(APP_ID, KEY, CALLBACK)
}

pub(crate) fn token() -> String {
    json!({
        "access_token": ACCESS,
        "refresh_token": REFRESH,
        "expires_in": "7776000",
        "openid": OPENID,
    })
    .to_string()
}

/// Schedules the replies of one login, because the mock does not know `CODE`.
pub(crate) fn plant(qq: &MockQq) {
    let me = json!({ "client_id": APP_ID, "openid": OPENID, "unionid": "UID_1" });
    qq.reply(Endpoint::Token, token())
        .reply(Endpoint::Me, me.to_string())
        .reply(Endpoint::UserInfo, r#"{"ret":0,"nickname":"小明"}"#);
}

#[test]
fn finds_a_secret_in_every_encoding() {
    use base64::prelude::BASE64_URL_SAFE;
    for before in ["", "a", "ab", "abc", "é"] {
        let text = format!("{before}{KEY}{before}");
        let percent = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
        let spellings = [
            text.clone(),
            percent.clone(),
            percent.to_lowercase(),
            percent.replace("%2F", "/"),
            utf8_percent_encode(&percent, NON_ALPHANUMERIC).to_string(),
            BASE64_STANDARD_NO_PAD.encode(&text),
            BASE64_URL_SAFE.encode(&text),
            BASE64_URL_SAFE.encode(&percent),
            format!("{:?}", text.as_bytes()),
            json!(text).to_string(),
        ];
        for spelling in spellings {
            let spelling = format!("x={spelling}&y");
            assert!(Haystack::new(&spelling).find(KEY).is_some(), "{spelling}");
        }
        assert!(Haystack::new(&text).find(CODE).is_none());
    }
}
