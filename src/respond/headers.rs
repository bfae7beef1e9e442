//! The headers of every response of the layer.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::caching::forbid_caching;

const COMMON: [(HeaderName, &str); 2] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// Inserts the headers that every response of the layer has.
pub(super) fn insert_common(headers: &mut HeaderMap) {
    for (name, value) in COMMON {
        headers.insert(name, HeaderValue::from_static(value));
    }
    forbid_caching(headers);
}
