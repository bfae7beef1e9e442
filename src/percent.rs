//! Percent-encoding for queries and headers.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Encodes a path for the query of a URL.
pub(crate) fn encode_path(path: &str) -> impl fmt::Display {
    const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');
    utf8_percent_encode(path, RESERVED_IN_PATH)
}

/// Encodes only those characters that neither a header nor a URL may contain.
pub(crate) fn header_safe(path_and_query: &str) -> impl fmt::Display {
    const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');
    utf8_percent_encode(path_and_query, UNSAFE)
}
