//! Headers that decide about caches.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Keeps a response with a cookie of the layer out of every cache.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let is_other = |name: &&HeaderName| **name == header::EXPIRES || is_targeted(name);
    for name in headers.keys().filter(is_other).cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Returns whether the app has said how to cache this response.
pub(crate) fn names_caching(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        [header::CACHE_CONTROL, header::EXPIRES, header::PRAGMA].contains(name) || is_targeted(name)
    })
}

/// Returns whether the app lets shared caches store this response:
///
/// 1. A targeted header counts for itself, unless it is `0` or has `no-store`, `private` or
///    `no-cache`.
/// 2. `public`, `immutable` and `s-maxage` count whatever else `Cache-Control` says.
/// 3. `max-age`, `stale-while-revalidate` and `stale-if-error` above 0 count, and without `max-age`
///    an `Expires` in the future, unless there is a `no-store` or a `private` without value.
pub(crate) fn may_be_cached(headers: &HeaderMap, now: SystemTime) -> bool {
    let (mut is_shared, mut is_restricted) = (false, false);
    let (mut is_fresh, mut has_max_age, mut expires_later) = (false, false, false);
    for (name, value) in headers {
        if *name == header::EXPIRES {
            expires_later |= is_later(value, now);
        } else if is_targeted(name) {
            is_shared |= !forbids_targeted(value);
        } else if *name == header::CACHE_CONTROL {
            for Directive { name, value } in directives(value) {
                if is_any(name, &["public", "immutable", "s-maxage"]) {
                    is_shared = true;
                } else if is_any(name, &["no-store", "private"]) {
                    // With a value it is about the fields that the value names.
                    is_restricted |= value.is_none();
                } else if is_any(name, &["max-age"]) {
                    has_max_age = true;
                    is_fresh |= is_positive(value);
                } else if is_any(name, &["stale-while-revalidate", "stale-if-error"]) {
                    is_fresh |= is_positive(value);
                }
            }
        }
    }
    is_shared || !is_restricted && (is_fresh || expires_later && !has_max_age)
}

/// Returns whether the header is about some caches only. These follow it instead of `Cache-Control`
/// (RFC 9213).
fn is_targeted(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("-cache-control")
        || ["edge-control", "surrogate-control", "x-accel-expires"].contains(&name)
}

fn forbids_targeted(value: &HeaderValue) -> bool {
    value == "0"
        || directives(value).any(|directive| {
            is_any(directive.name, &["no-store", "private", "no-cache"])
                && directive.value.is_none()
        })
}

fn is_later(expires: &HeaderValue, now: SystemTime) -> bool {
    let expires = expires.to_str().ok().map(httpdate::parse_http_date);
    expires.is_some_and(|date| date.is_ok_and(|date| date > now))
}

/// One member of `Cache-Control`.
struct Directive<'h> {
    name: &'h [u8],
    value: Option<&'h [u8]>,
}

fn directives(header: &HeaderValue) -> impl Iterator<Item = Directive<'_>> {
    let mut is_quoted = false;
    let members = header.as_bytes().split(move |&byte| {
        is_quoted ^= byte == b'"';
        byte == b',' && !is_quoted
    });
    members.map(|member| {
        let mut parts = member.splitn(2, |&byte| byte == b'=');
        Directive {
            name: parts.next().unwrap_or_default().trim_ascii(),
            value: parts.next(),
        }
    })
}

fn is_any(name: &[u8], known: &[&str]) -> bool {
    let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
    known.iter().any(is)
}

/// Returns whether the value starts with a number above 0. Caches differ on what may follow it.
fn is_positive(value: Option<&[u8]>) -> bool {
    let value = value.unwrap_or_default().trim_ascii_start();
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let mut digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    digits.any(|&digit| digit != b'0')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn headers(lines: &str) -> HeaderMap {
        let lines = lines.lines().map(|line| {
            let (name, value) = line.split_once(": ").expect("a header");
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        });
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn finds_out_whether_a_shared_cache_may_store_a_response() {
        let cached = [
            "Cache-Control: public",
            "Cache-Control: PUBLIC",
            "cache-control: no-cache ,\tPublic",
            "Cache-Control: public, max-age=0",
            "Cache-Control: public, no-store",
            "Cache-Control: no-store\nCache-Control: public",
            "Cache-Control: immutable",
            "Cache-Control: s-maxage=60",
            "Cache-Control: max-age=0, s-maxage=60",
            "Cache-Control: private, S-MaxAge=60",
            "Cache-Control: max-age=60",
            "Cache-Control: Max-Age=\"60\"",
            "Cache-Control: max-age= 060",
            "Cache-Control: max-age=60s",
            "Cache-Control: max-age=99999999999999999999999999",
            "Cache-Control: must-revalidate, max-age=1",
            "Cache-Control: no-cache, max-age=60",
            "Cache-Control: max-age=0\nCache-Control: max-age=60",
            "Cache-Control: private=\"set-cookie, x\", max-age=60",
            "Cache-Control: no-cache=\"a, private, b\", max-age=60",
            "Cache-Control: max-age=0, stale-while-revalidate=60",
            "Cache-Control: max-age=0, stale-if-error=60",
            &format!("Expires: {LATER}"),
            "Expires: Sunday, 06-Nov-94 08:49:38 GMT",
            "Expires: Sun Nov  6 08:49:38 1994",
            &format!("Expires: 0\nExpires: {LATER}"),
            &format!("Cache-Control: no-cache\nExpires: {LATER}"),
            "CDN-Cache-Control: max-age=60",
            "Cache-Control: no-store\nCDN-Cache-Control: max-age=60",
            "Cache-Control: private\nCloudflare-CDN-Cache-Control: max-age=60",
            "Cache-Control: no-store\nEdge-Control: !no-store, max-age=1d",
            "Cache-Control: no-store\nX-LiteSpeed-Cache-Control: public",
            "Cache-Control: no-store\nSurrogate-Control: max-age=60",
            "Cache-Control: no-store\nX-Accel-Expires: 60",
            "Cache-Control: no-store\nX-Accel-Expires: @1",
            "Surrogate-Control: no-store\nCDN-Cache-Control: max-age=60",
        ];
        let not_cached = [
            "Content-Type: text/html",
            "Cache-Control: ",
            "Cache-Control: no-store",
            "Cache-Control: no-cache",
            "Cache-Control: private",
            "Cache-Control: private, max-age=60",
            "Cache-Control: max-age=60\nCache-Control: Private",
            "Cache-Control: no-store, max-age=60",
            "Cache-Control: private, max-age=0, stale-while-revalidate=60",
            "Cache-Control: no-store, no-cache, must-revalidate, proxy-revalidate",
            "Cache-Control: max-age=0",
            "Cache-Control: max-age=\"0\"",
            "Cache-Control: max-age=000",
            "Cache-Control: max-age",
            "Cache-Control: max-age=",
            "Cache-Control: max-age=-1",
            "Cache-Control: max-age=soon",
            "Cache-Control: x-max-age=60, publicly, max-age2=60",
            "Cache-Control: no-cache=\"x, public, max-age=60\"",
            "X-Cache: max-age=60, public",
            "Pragma: public",
            &format!("Expires: {NOW}"),
            "Expires: 0",
            "Expires: -1",
            "Expires: soon",
            "Expires: Thu, 19 Nov 1981 08:52:00 GMT",
            &format!("Cache-Control: private\nExpires: {LATER}"),
            &format!("Cache-Control: no-store\nExpires: {LATER}"),
            &format!("Cache-Control: max-age=0\nExpires: {LATER}"),
            "Cache-Control: no-store\nSurrogate-Control: no-store",
            "CDN-Cache-Control: no-store",
            "CDN-Cache-Control: private, max-age=60",
            "X-LiteSpeed-Cache-Control: no-cache",
            "X-Accel-Expires: 0",
            "Surrogate-Key: public",
        ];
        let now = httpdate::parse_http_date(NOW).expect("a date");
        for lines in cached {
            assert!(may_be_cached(&headers(lines), now), "{lines}");
        }
        for lines in not_cached {
            assert!(!may_be_cached(&headers(lines), now), "{lines}");
        }
        let later = headers(&format!("Expires: {LATER}"));
        assert!(!may_be_cached(&later, now + Duration::from_secs(1)));
    }

    #[test]
    fn knows_the_headers_about_caching() {
        let targeted = [
            "CDN-Cache-Control",
            "Cloudflare-CDN-Cache-Control",
            "X-LiteSpeed-Cache-Control",
            "Edge-Control",
            "Surrogate-Control",
            "X-Accel-Expires",
        ];
        let keeps = ["ETag", "Vary", "Pragma", "Surrogate-Key", "Set-Cookie"];
        for name in ["Cache-Control", "Expires"].iter().chain(&targeted) {
            let mut headers = headers(&format!("{name}: 60\nVary: x\n{name}: 61"));
            assert!(names_caching(&headers), "{name}");
            forbid_caching(&mut headers);
            assert_eq!(headers["cache-control"], "no-store", "{name}");
            assert_eq!(headers.len(), 2, "{headers:?}");
        }
        for name in keeps {
            let mut headers = headers(&format!("{name}: 60"));
            assert_eq!(names_caching(&headers), name == "Pragma", "{name}");
            forbid_caching(&mut headers);
            assert_eq!(headers[name], "60", "{name}");
        }
        assert!(!names_caching(&HeaderMap::new()));
    }
}
