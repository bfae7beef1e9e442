//! Writing the shapes QQ answers in.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// How an answer is written, chosen with [`MockQq::shape`](super::MockQq::shape).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Shape {
    /// What the request asks for, as the real QQ does it: JSON with `fmt=json`, else a form for a token and JSONP for
    /// `/me` and for errors; the profile pretty-printed, whatever was asked.
    #[default]
    AsAsked,
    /// `{"a":"b"}`
    Json,
    /// JSON over several lines, four blanks, a line feed at the end.
    JsonPretty,
    /// `callback( {"a":"b"} );` and a line feed.
    Jsonp,
    /// `callback({"a":"b"});`
    JsonpCompact,
    /// `callback(`, pretty JSON, `)`, each on lines of their own and no semicolon.
    JsonpLines,
    /// `a=b&c=d`; errors are `code=…&msg=…`.
    Form,
}

/// How numbers are written, chosen with [`MockQq::numbers`](super::MockQq::numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Numbers {
    /// As QQ does: `ret` and `error` are numbers; `expires_in`, `vip`, `level` … are strings.
    #[default]
    AsQq,
    /// All numbers are strings.
    Strings,
    /// All numbers are numbers, also those that QQ writes as strings.
    Numbers,
}

/// The fields of an answer in their order.
pub(super) type Fields = Vec<(&'static str, Value)>;

/// A value, and how QQ likes to write it.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    /// A number that QQ writes as a string.
    Digits(i64),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// How to write, apart from the shape.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    pub(super) numbers: Numbers,
    /// `None`: only the pictures of Qzone, as QQ does since 2020.
    pub(super) escape_slashes: Option<bool>,
}

impl Style {
    /// The fields in this shape, [`Shape::AsAsked`] being JSON here.
    pub(super) fn write(self, shape: Shape, fields: &Fields) -> String {
        match shape {
            Shape::AsAsked | Shape::Json => self.json(fields),
            Shape::JsonPretty => self.pretty(fields) + "\n",
            Shape::Jsonp => format!("callback( {} );\n", self.json(fields)),
            Shape::JsonpCompact => format!("callback({});", self.json(fields)),
            Shape::JsonpLines => format!("callback(\n{}\n)\n", self.pretty(fields)),
            Shape::Form => form(fields),
        }
    }

    fn json(self, fields: &Fields) -> String {
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{}", self.value(name, value)))
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    fn pretty(self, fields: &Fields) -> String {
        let lines: Vec<String> = fields
            .iter()
            .map(|(name, value)| {
                // The one field QQ added by hand.
                let blank = if *name == "is_lost" { "" } else { " " };
                format!("    \"{name}\":{blank}{}", self.value(name, value))
            })
            .collect();
        format!("{{\n{}\n}}", lines.join(",\n"))
    }

    fn value(self, name: &str, value: &Value) -> String {
        match (value, self.numbers) {
            (Value::Text(text), _) => {
                let json = serde_json::Value::from(text.as_str()).to_string();
                let qzone = matches!(name, "figureurl" | "figureurl_1" | "figureurl_2");
                match self.escape_slashes.unwrap_or(qzone) {
                    true => json.replace('/', "\\/"),
                    false => json,
                }
            }
            (Value::Number(number), Numbers::AsQq | Numbers::Numbers)
            | (Value::Digits(number), Numbers::Numbers) => number.to_string(),
            (Value::Number(number) | Value::Digits(number), _) => format!("\"{number}\""),
        }
    }
}

fn form(fields: &Fields) -> String {
    let mut form = String::new();
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        // Writing to a String cannot fail.
        let _ = match value {
            Value::Text(text) => write!(form, "{name}={}", encode(text)),
            Value::Number(number) | Value::Digits(number) => write!(form, "{name}={number}"),
        };
    }
    form
}

/// Percent-encoded, for one value of a query.
pub(super) fn encode(text: &str) -> String {
    const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, UNSAFE).to_string()
}
