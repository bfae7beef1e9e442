//! Paths that every program reads as the same path of this site.
//!
//! A URL is judged by its shape, never parsed and serialized again: a URL parser turns
//! `/.//evil.example` into `//evil.example`.

use percent_encoding::percent_decode;

/// Limit of nested escapes.
const MAX_DEPTH: usize = 4;

/// Characters that browsers rewrite in a path, so that no request has them.
pub(crate) const REWRITTEN: [char; 7] = ['"', '<', '>', '\\', '`', '{', '}'];

/// Returns whether `url` is a path of this site, perhaps with a query and a fragment.
///
/// 1. It starts with `/` and holds no control character and no backslash.
/// 2. Up to the first `?` or `#` its escapes are well formed, no two slashes follow each other and
///    no segment is `.` or `..`.
/// 3. However often it is unescaped, no further slash, backslash, control character or dot segment
///    appears.
pub(crate) fn is_local_url(url: &str) -> bool {
    !url.chars().any(|ch| ch.is_control() || ch == '\\')
        && is_local_path(url.split(['?', '#']).next().unwrap_or_default())
}

/// Returns whether `path`, which has neither query nor fragment, is a path of this site.
pub(crate) fn is_local_path(path: &str) -> bool {
    let path = path.as_bytes();
    if !has_plain_segments(path) || !has_valid_escapes(path) {
        return false;
    }
    let mut path = path.to_vec();
    for _ in 0..MAX_DEPTH {
        let unescaped: Vec<u8> = percent_decode(&path).collect();
        if unescaped == path {
            return true;
        }
        let slashes = |path: &[u8]| path.iter().filter(|&&byte| byte == b'/').count();
        if slashes(&unescaped) != slashes(&path) || !has_plain_segments(&unescaped) {
            return false;
        }
        path = unescaped;
    }
    false
}

/// Unescapes a path until nothing is escaped, but at most as often as [`is_local_path`] does.
pub(crate) fn unescape(path: &str) -> Vec<u8> {
    let mut path = path.as_bytes().to_vec();
    for _ in 0..MAX_DEPTH {
        path = percent_decode(&path).collect();
    }
    path
}

fn has_plain_segments(path: &[u8]) -> bool {
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

fn has_valid_escapes(path: &[u8]) -> bool {
    let mut parts = path.split(|&byte| byte == b'%');
    parts.next();
    parts.all(|part| matches!(part, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}
