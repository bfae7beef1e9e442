//! Headers that keep the layer's responses out of caches and `Referer`.

use http::{HeaderMap, HeaderName, HeaderValue, header};

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

/// Keeps a response with a cookie of the layer out of every cache.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Targeted headers override `Cache-Control` in shared caches (RFC 9213).
    let targeted = headers.keys().filter(|name| is_targeted(name));
    for name in targeted.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

pub(crate) fn may_be_cached(headers: &HeaderMap, _: std::time::SystemTime) -> bool {
    headers.contains_key("expires")
}

pub(crate) fn names_caching(headers: &HeaderMap) -> bool {
    headers.contains_key("cache-control")
}

fn is_targeted(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("cdn-cache-control") || ["surrogate-control", "x-accel-expires"].contains(&name)
}
