//! The query of a request to one of the layer's paths.
//!
//! Parsed here because `form_urlencoded` replaces invalid UTF-8, which has to be refused.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The parameters that the layer reads, parsed once. Others are skipped.
#[derive(Default)]
pub(crate) struct Query<'q> {
    pub(crate) code: Param<'q>,
    pub(crate) intent: Param<'q>,
    pub(crate) return_to: Param<'q>,
    pub(crate) state: Param<'q>,
    pub(crate) usercancel: Param<'q>,
    /// `true` with `error`, `error_description` or `msg`, whatever they say.
    pub(crate) has_error: bool,
}

/// A parameter of a query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Param<'q> {
    #[default]
    Missing,
    Once(Cow<'q, str>),
    /// Repeated, or not UTF-8.
    Invalid,
}

impl<'q> Query<'q> {
    pub(crate) fn parse(query: &'q str) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decode(name) else { continue };
            let param = match &*name {
                "code" => &mut parsed.code,
                "intent" => &mut parsed.intent,
                "return_to" => &mut parsed.return_to,
                "state" => &mut parsed.state,
                "usercancel" => &mut parsed.usercancel,
                "error" | "error_description" | "msg" => {
                    parsed.has_error = true;
                    continue;
                }
                _ => continue,
            };
            *param = match (&*param, decode(value)) {
                (Param::Missing, Some(value)) => Param::Once(value),
                _ => Param::Invalid,
            };
        }
        parsed
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
