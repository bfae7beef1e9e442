//! The query of a request to one of the layer's paths.
//!
//! Parsed here because `form_urlencoded` replaces invalid UTF-8, which has to be refused.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The parameters that the layer reads, parsed once. Others are skipped.
#[derive(Default)]
pub(crate) struct Query<'q> {
    pub(crate) code: Param<'q>,
    pub(crate) error: Param<'q>,
    pub(crate) error_description: Param<'q>,
    pub(crate) intent: Param<'q>,
    pub(crate) msg: Param<'q>,
    pub(crate) popup: Param<'q>,
    pub(crate) remember: Param<'q>,
    pub(crate) return_to: Param<'q>,
    pub(crate) state: Param<'q>,
    pub(crate) usercancel: Param<'q>,
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
    /// Parses a query. A browser can send 64 KiB of parameters that the layer does not read, so
    /// skipping one is cheap: no allocation, and most names need only a look at their length and
    /// first byte.
    pub(crate) fn parse(query: &'q str) -> Self {
        let mut parsed = Self::default();
        for pair in query.as_bytes().split(|&byte| byte == b'&') {
            if !matches!(pair, [first, _, _, ..] if b"ceimprsu%".contains(first)) {
                continue;
            }
            let end = pair.iter().position(|&byte| byte == b'=');
            let (name, value) = pair.split_at(end.unwrap_or(pair.len()));
            if let Some(param) = parsed.param(name) {
                *param = match param {
                    Param::Missing => decode(value.strip_prefix(b"=").unwrap_or(value)),
                    Param::Once(_) | Param::Invalid => Param::Invalid,
                };
            }
        }
        parsed
    }

    fn param(&mut self, name: &[u8]) -> Option<&mut Param<'q>> {
        const MAX_LEN: usize = "error_description".len();
        let mut decoded = [0; MAX_LEN];
        let name = match name.contains(&b'%') {
            true => {
                let mut len = 0;
                for byte in percent_decode(name) {
                    *decoded.get_mut(len)? = byte;
                    len += 1;
                }
                &decoded[..len]
            }
            false => name,
        };
        Some(match name {
            b"code" => &mut self.code,
            b"error" => &mut self.error,
            b"error_description" => &mut self.error_description,
            b"intent" => &mut self.intent,
            b"msg" => &mut self.msg,
            b"popup" => &mut self.popup,
            b"remember" => &mut self.remember,
            b"return_to" => &mut self.return_to,
            b"state" => &mut self.state,
            b"usercancel" => &mut self.usercancel,
            _ => return None,
        })
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

    pub(crate) fn is_missing(&self) -> bool {
        *self == Self::Missing
    }
}

fn decode(value: &[u8]) -> Param<'_> {
    let text = if value.contains(&b'+') {
        let blanks = value
            .iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte });
        let blanks: Vec<u8> = blanks.collect();
        String::from_utf8(percent_decode(&blanks).collect())
            .map(Cow::Owned)
            .ok()
    } else {
        percent_decode(value).decode_utf8().ok()
    };
    text.map_or(Param::Invalid, Param::Once)
}
