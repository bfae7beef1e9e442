//! The `Cookie` and `Set-Cookie` headers, as far as our own cookies go.

use std::iter::from_fn;

use http::{HeaderMap, HeaderValue, header};
use memchr::{memchr, memmem::Finder};

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

/// The value of the cookie called exactly this; none if two different values claim that name.
pub(crate) fn find<'h>(headers: &'h HeaderMap, name: &Finder<'_>) -> Option<&'h [u8]> {
    let mut values = cookie_headers(headers).flat_map(|header| values(header, name));
    let value = values.next()?;
    values.all(|other| other == value).then_some(value)
}

/// The values under this name. To search for it leaps over the cookies of others, of which there are many.
fn values<'h>(mut header: &'h [u8], name: &Finder<'_>) -> impl Iterator<Item = &'h [u8]> {
    let found = from_fn(move || {
        let (before, found) = header.split_at(name.find(header)?);
        let (pair, rest) = found.split_at(memchr(b';', found).unwrap_or(found.len()));
        header = rest;
        Some((trim(before), &pair[name.needle().len()..]))
    });
    found.filter_map(|(before, after)| {
        // A cookie begins with the header or after a semicolon; anything else is a part of another one.
        let begins = before.is_empty() || before.ends_with(b";");
        let value = trim(after).strip_prefix(b"=")?;
        begins.then_some(trim(value))
    })
}

/// Every cookie of a request: names as they are, blanks around names and values trimmed, nothing decoded.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = cookie_headers(headers).flat_map(|header| header.split(|&byte| byte == b';'));
    pairs.filter_map(|pair| {
        let at = memchr(b'=', pair)?;
        Some((trim(&pair[..at]), trim(&pair[at + 1..])))
    })
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
