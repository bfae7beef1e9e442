//! The query of a request to one of the layer's paths, and values for queries and headers.

use std::borrow::Cow;

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

/// The parameters that the layer reads. Others are skipped.
const NAMES: [&str; 8] = [
    "code",
    "error",
    "error_description",
    "intent",
    "msg",
    "return_to",
    "state",
    "usercancel",
];

/// The parameters of a query, parsed once.
pub(crate) struct Query<'q>([Param<'q>; NAMES.len()]);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Param<'q> {
    #[default]
    Missing,
    Once(Cow<'q, str>),
    /// Repeated, or not UTF-8.
    Invalid,
}

impl<'q> Query<'q> {
    pub(crate) fn parse(query: &'q str) -> Self {
        let mut params: [Param<'q>; NAMES.len()] = Default::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decode(name) else { continue };
            if let Some(at) = NAMES.iter().position(|known| *known == name) {
                params[at] = match (&params[at], decode(value)) {
                    (Param::Missing, Some(value)) => Param::Once(value),
                    _ => Param::Invalid,
                };
            }
        }
        Self(params)
    }

    /// Returns the parameter of this name, which must be one of those that the layer reads.
    pub(crate) fn get(&self, name: &str) -> &Param<'q> {
        const MISSING: &Param<'static> = &Param::Missing;
        let at = NAMES.iter().position(|known| *known == name);
        debug_assert!(at.is_some(), "{name} is not among the parameters read");
        at.map_or(MISSING, |at| &self.0[at])
    }
}

impl Param<'_> {
    /// Returns the value, unless the parameter is missing or invalid.
    pub(crate) fn once(&self) -> Option<&str> {
        match self {
            Self::Once(value) => Some(value),
            Self::Missing | Self::Invalid => None,
        }
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8().ok()?;
    Some(Cow::Owned(text.into_owned()))
}

/// Encodes a value for a query.
pub(crate) fn encode(value: &str) -> impl std::fmt::Display {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(value, RESERVED)
}

/// Encodes what neither a header nor a URL may contain, and leaves the rest as it is.
pub(crate) fn header_safe(path_and_query: &str) -> impl std::fmt::Display {
    const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');
    utf8_percent_encode(path_and_query, UNSAFE)
}
