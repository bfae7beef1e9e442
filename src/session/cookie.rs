//! The `Cookie` and `Set-Cookie` headers, as far as our own cookies go.

use std::iter::once;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use memchr::memchr_iter;

/// Name and attributes of cookies of ours.
#[derive(Clone, Debug)]
pub(crate) struct CookieJar {
    secure: bool,
    prefix: String,
}

impl CookieJar {
    pub(crate) fn new(secure: bool, prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        Self { secure, prefix }
    }

    /// The name under which browsers refuse the cookie to any neighbouring host, where that can be had.
    pub(crate) fn name(&self, name: &str) -> String {
        let host = if self.secure { "__Host-" } else { "" };
        format!("{host}{}_{name}", self.prefix)
    }

    pub(crate) fn set(&self, name: &str, value: &str, max_age: u64) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={max_age}");
        // Names are ours and values base64url; the fallback is a cookie that does nothing.
        HeaderValue::try_from(cookie).unwrap_or(HeaderValue::from_static(""))
    }

    pub(crate) fn clear(&self, name: &str) -> HeaderValue {
        self.set(name, "", 0)
    }
}

/// The value of the cookie called exactly `name`; none if two different values claim that name.
pub(crate) fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut values = pairs(headers).filter_map(|pair| {
        let value = pair.strip_prefix(name.as_bytes())?;
        Some(trim(trim(value).strip_prefix(b"=")?))
    });
    let value = values.next()?;
    values.all(|other| other == value).then_some(value)
}

/// Every cookie of a request: names as they are, blanks around names and values trimmed, nothing decoded.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    pairs(headers).filter_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        Some((trim(&pair[..at]), trim(&pair[at + 1..])))
    })
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(COOKIE).into_iter().flat_map(|header| {
        let header = header.as_bytes();
        let ends = memchr_iter(b';', header).chain(once(header.len()));
        ends.scan(0, move |start, end| {
            let pair = &header[*start..end];
            *start = end + 1;
            Some(trim(pair))
        })
    })
}

const COOKIE: HeaderName = header::COOKIE;

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
