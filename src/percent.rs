//! Percent-encoding for queries and headers.

use std::fmt;

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode_byte, utf8_percent_encode,
};

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

/// Characters that mean one thing as they are and another one escaped. The escapes of these are
/// stored as the codes 1 to 30.
const ESCAPED: &[u8; 30] = b"\t\n\r!#$%&'()*+,-./:;=?@[]^_{|}~";
const LAST_CODE: u8 = ESCAPED.len() as u8;
/// Precedes the byte of any other escape, such as `%41`.
const MARKER: u8 = 0;

/// Packs the text of [`header_safe`]: nearly every escape becomes one byte. Only those of letters,
/// digits and some control characters take two.
pub(crate) fn compact(text: &str) -> Vec<u8> {
    let mut packed = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let Some((byte, after)) = read_escape(rest) else {
            packed.push(first);
            rest = after;
            continue;
        };
        match ESCAPED.iter().position(|&escaped| escaped == byte) {
            Some(code) => packed.push(code as u8 + 1),
            None if is_literal(byte) || byte <= LAST_CODE => packed.extend([MARKER, byte]),
            None => packed.push(byte),
        }
        rest = after;
    }
    packed
}

/// Unpacks what [`compact`] has packed. The digits of escapes become upper-case.
pub(crate) fn expand(packed: &[u8]) -> String {
    let mut text = String::with_capacity(packed.len());
    let mut bytes = packed.iter().copied();
    while let Some(byte) = bytes.next() {
        let escaped = match byte {
            MARKER => bytes.next().unwrap_or_default(),
            1..=LAST_CODE => ESCAPED[usize::from(byte) - 1],
            _ if is_literal(byte) => {
                text.push(byte.into());
                continue;
            }
            _ => byte,
        };
        text.push_str(percent_encode_byte(escaped));
    }
    text
}

fn read_escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = 16 * digit(*high)? + digit(*low)?;
    Some((byte as u8, rest))
}

/// Returns whether [`header_safe`] may leave the byte as it is. Local URLs have no backslash.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>`\\".contains(&byte)
}
