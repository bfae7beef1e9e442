//! Where to go after login or logout: a path of this site, by its shape.
//!
//! 1. 1 to 2048 bytes of UTF-8 that start with `/`, without control characters or backslashes.
//! 2. Up to the first `?` or `#` it has well-formed escapes, no two slashes in a row and no segment `.` or `..`, and
//!    unescaping it shows no further slash, backslash, control character or such segment, however often it is done.
//! 3. It is not one of the paths that the layer answers.
//!
//! It is never parsed as a URL and written anew: a URL parser makes `//evil.example` out of `/.//evil.example`.

use std::fmt;

use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};

use super::{Paths, query::header_safe};

const MAX_LEN: usize = 2048;

/// How deep escapes may be nested.
const MAX_DEPTH: usize = 4;

/// A path of this site, perhaps with a query and a fragment. `Display` is fit for a `Location` header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReturnTo(String);

impl ReturnTo {
    /// The page at `/`.
    pub(super) fn home() -> Self {
        Self("/".into())
    }

    pub(super) fn new(given: impl Into<String>, paths: &Paths) -> Option<Self> {
        let given = given.into();
        let path = given.split(['?', '#']).next().unwrap_or_default();
        let fits = (1..=MAX_LEN).contains(&given.len())
            && !given.chars().any(|it| it.is_control() || it == '\\')
            && stays_here(path)
            && paths.find(path).is_none();
        fits.then_some(Self(given))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", header_safe(&self.0))
    }
}

/// Whether it is a path that everybody reads as the same path of this site.
pub(super) fn stays_here(path: &str) -> bool {
    let path = path.as_bytes();
    if !is_plain(path) || !has_good_escapes(path) {
        return false;
    }
    let mut path = path.to_vec();
    for _ in 0..MAX_DEPTH {
        let unescaped: Vec<u8> = percent_decode(&path).collect();
        if unescaped == path {
            return true;
        }
        let slashes = |path: &[u8]| path.iter().filter(|&&byte| byte == b'/').count();
        if slashes(&unescaped) != slashes(&path) || !is_plain(&unescaped) {
            return false;
        }
        path = unescaped;
    }
    false
}

/// Whether it has but one meaning to every program that reads it as a path.
fn is_plain(path: &[u8]) -> bool {
    let Some(path) = path.strip_prefix(b"/") else {
        return false;
    };
    let last = path.split(|&byte| byte == b'/').count() - 1;
    path.split(|&byte| byte == b'/')
        .enumerate()
        .all(|(at, segment)| match segment {
            // A path may end in a slash.
            b"" => at == last,
            b"." | b".." => false,
            _ => !segment
                .iter()
                .any(|byte| byte.is_ascii_control() || *byte == b'\\'),
        })
}

fn has_good_escapes(path: &[u8]) -> bool {
    let mut parts = path.split(|&byte| byte == b'%');
    parts.next();
    parts.all(|part| matches!(part, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}
