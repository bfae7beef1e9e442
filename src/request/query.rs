//! The parameters of a request to one of our paths.

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

/// What a query says of one name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Param {
    Missing,
    Once(String),
    /// Repeated, or not UTF-8: nothing that can be relied on.
    Odd,
}

impl Param {
    pub(super) fn of(query: &str, name: &str) -> Self {
        let mut values = query.split('&').filter_map(|pair| {
            let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(found).as_deref() == Some(name)).then(|| decoded(value))
        });
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(Some(value)), None) => Self::Once(value),
            _ => Self::Odd,
        }
    }

    pub(super) fn once(self) -> Option<String> {
        match self {
            Self::Once(value) => Some(value),
            Self::Missing | Self::Odd => None,
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    Some(percent_decode_str(&text).decode_utf8().ok()?.into_owned())
}

/// A value for a query.
pub(super) fn encoded(value: &str) -> impl std::fmt::Display {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(value, RESERVED)
}

/// A path and query for a header: as they are but for what no header or URL may hold.
pub(super) fn header_safe(path_and_query: &str) -> impl std::fmt::Display {
    const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');
    utf8_percent_encode(path_and_query, UNSAFE)
}
