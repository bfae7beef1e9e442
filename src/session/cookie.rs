//! Reading and writing the layer's cookies.
//!
//! The `cookie` crate writes `Set-Cookie`. Reading `Cookie` stays a search over bytes: the crate's
//! parser needs UTF-8, allocates, and decodes names, so a neighbour's cookie could hide or imitate
//! ours.

use std::{array::from_fn, iter};

use ::cookie::{Cookie, SameSite, time};
use http::{HeaderMap, HeaderValue, header};
use memchr::{memchr, memmem::Finder};

/// The longest `Set-Cookie` in bytes. Many servers accept only 8 KiB of request headers and 4 KiB
/// of response headers, and the app has headers of its own.
pub(crate) const MAX_COOKIE: usize = 2048;

/// The attributes and the name prefix that the cookies of one layer share.
#[derive(Clone, Debug)]
pub(crate) struct CookieScope {
    is_secure: bool,
    /// The start of every name, ready to be searched for.
    start: Finder<'static>,
}

impl CookieScope {
    /// On https, `__Host-` keeps neighbouring hosts from setting the cookies.
    pub(crate) fn new(is_secure: bool, prefix: &str) -> Self {
        let host = if is_secure { "__Host-" } else { "" };
        let start = Finder::new(&format!("{host}{prefix}_")).into_owned();
        Self { is_secure, start }
    }

    pub(crate) fn full_name(&self, suffix: &str) -> String {
        String::from_utf8_lossy(self.start.needle()).into_owned() + suffix
    }

    /// Returns a `Set-Cookie`. Without `max_age`, in seconds, the browser drops the cookie when it
    /// closes.
    pub(crate) fn set(&self, name: &str, value: &str, max_age: Option<u64>) -> HeaderValue {
        let max_age = max_age.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        let mut cookie = Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.is_secure)
            .build();
        cookie.set_max_age(max_age.map(time::Duration::seconds));
        // Names are checked and values are base64url; an empty header sets nothing.
        let header = HeaderValue::try_from(cookie.to_string());
        let mut header = header.unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }

    pub(crate) fn remove(&self, name: &str) -> HeaderValue {
        self.set(name, "", Some(0))
    }

    /// Hides the `Cookie` headers with cookies of this layer from logs of headers. Returns whether
    /// there are any.
    pub(crate) fn mark_sensitive(&self, headers: &mut HeaderMap) -> bool {
        // Most requests without cookies end here.
        if !headers.contains_key(header::COOKIE) {
            return false;
        }
        let mut found = false;
        for (name, value) in headers {
            if *name == header::COOKIE && self.start.find(value.as_bytes()).is_some() {
                value.set_sensitive(true);
                found = true;
            }
        }
        found
    }
}

/// Returns the name in a `Set-Cookie` header.
pub(crate) fn name(set_cookie: &HeaderValue) -> &[u8] {
    let bytes = set_cookie.as_bytes();
    trim(&bytes[..memchr(b'=', bytes).unwrap_or(bytes.len())])
}

/// Finds the value of the cookie with exactly this name. Returns `None` if two cookies of this name
/// have different values.
pub(crate) fn find<'h>(headers: &'h HeaderMap, name: &Finder<'_>) -> Option<&'h [u8]> {
    let mut values = cookie_headers(headers)
        .flat_map(|header| find_starts(header, name))
        .filter_map(value_of);
    let value = values.next()?;
    values.all(|other| other == value).then_some(value)
}

/// Finds the values of the cookies `<start>0`, `<start>1` and so on in one pass, like [`find`] for
/// each of them.
pub(crate) fn find_numbered<'h, const N: usize>(
    headers: &'h HeaderMap,
    start: &Finder<'_>,
) -> [Option<&'h [u8]>; N] {
    let (mut found, mut differ) = ([None; N], [false; N]);
    for after in cookie_headers(headers).flat_map(|header| find_starts(header, start)) {
        let number = after
            .first()
            .map(|digit| usize::from(digit.wrapping_sub(b'0')));
        let number = number.filter(|&number| number < N);
        let Some((number, value)) = number.zip(after.get(1..).and_then(value_of)) else {
            continue;
        };
        differ[number] |= *found[number].get_or_insert(value) != value;
    }
    from_fn(|number| found[number].filter(|_| !differ[number]))
}

/// Returns the text after each match at the start of a cookie, up to its end.
///
/// Searches for the name instead of splitting, which skips the many cookies of others quickly.
fn find_starts<'h>(mut header: &'h [u8], start: &Finder<'_>) -> impl Iterator<Item = &'h [u8]> {
    let matches = iter::from_fn(move || {
        let (before, found) = header.split_at(start.find(header)?);
        let (pair, rest) = found.split_at(memchr(b';', found).unwrap_or(found.len()));
        header = rest;
        Some((trim(before), &pair[start.needle().len()..]))
    });
    // Anywhere else the match is part of another cookie.
    let is_start = |before: &[u8]| before.is_empty() || before.ends_with(b";");
    matches.filter_map(move |(before, after)| is_start(before).then_some(after))
}

/// Returns the value if nothing of the name is left before it.
fn value_of(after: &[u8]) -> Option<&[u8]> {
    trim(after).strip_prefix(b"=").map(trim)
}

fn cookie_headers(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let headers = headers.get_all(header::COOKIE).into_iter();
    headers.map(HeaderValue::as_bytes)
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
