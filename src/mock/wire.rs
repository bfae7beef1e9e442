//! The formats of QQ's replies.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The shape of a reply, set with [`MockQq::shape`](crate::mock::MockQq::shape).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Shape {
    /// The shape that the request asks for, as on the real QQ.
    ///
    /// With `fmt=json`, replies are JSON. Without it, tokens are a form, and `/me` and errors are
    /// JSONP. The profile is pretty-printed JSON in any case, and errors of the profile and other
    /// APIs are JSON.
    #[default]
    AsAsked,
    /// JSON on one line: `{"a":"b"}`.
    Json,
    /// JSON on several lines, indented by four blanks, with a line feed at the end.
    JsonPretty,
    /// JSONP with blanks and a line feed at the end: `callback( {"a":"b"} );`.
    Jsonp,
    /// JSONP without blanks: `callback({"a":"b"});`.
    JsonpCompact,
    /// JSONP around pretty-printed JSON, with `callback(` and `)` on separate lines and no
    /// semicolon.
    JsonpLines,
    /// A form: `a=b&c=d`, or `code=…&msg=…` for errors of token and `/me`.
    Form,
}

/// The format of numbers, set with [`MockQq::numbers`](crate::mock::MockQq::numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Numbers {
    /// The format of QQ: `ret` and `error` are numbers; `vip`, `level` and others are strings;
    /// `expires_in` is a number in a reply with an openid, and a string in others.
    #[default]
    AsQq,
    /// All numbers are strings.
    Strings,
    /// All numbers are numbers, including those that QQ writes as strings.
    Numbers,
}

/// The fields of a reply, in order.
pub(super) type FieldList = Vec<(&'static str, FieldValue)>;

/// The value of a field.
#[derive(Debug, Clone)]
pub(super) enum FieldValue {
    Text(String),
    Number(i64),
    /// A number that QQ writes as a string.
    Digits(i64),
}

impl FieldValue {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// The format settings apart from the shape.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WireStyle {
    pub(super) numbers: Numbers,
    pub(super) escape_slashes: bool,
}

impl WireStyle {
    /// Writes the fields in this shape, with [`Shape::AsAsked`] as JSON.
    pub(super) fn write(self, shape: Shape, fields: &FieldList) -> String {
        match shape {
            Shape::AsAsked | Shape::Json => self.write_json(fields),
            Shape::JsonPretty => self.write_pretty(fields) + "\n",
            Shape::Jsonp => format!("callback( {} );\n", self.write_json(fields)),
            Shape::JsonpCompact => format!("callback({});", self.write_json(fields)),
            Shape::JsonpLines => format!("callback(\n{}\n)\n", self.write_pretty(fields)),
            Shape::Form => write_form(fields),
        }
    }

    fn write_json(self, fields: &FieldList) -> String {
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{}", self.write_value(value)))
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    fn write_pretty(self, fields: &FieldList) -> String {
        let lines: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("    \"{name}\": {}", self.write_value(value)))
            .collect();
        format!("{{\n{}\n}}", lines.join(",\n"))
    }

    fn write_value(self, value: &FieldValue) -> String {
        match (value, self.numbers) {
            (FieldValue::Text(text), _) => {
                let json = serde_json::Value::from(text.as_str()).to_string();
                if self.escape_slashes {
                    json.replace('/', "\\/")
                } else {
                    json
                }
            }
            (FieldValue::Number(number), Numbers::AsQq | Numbers::Numbers)
            | (FieldValue::Digits(number), Numbers::Numbers) => number.to_string(),
            (FieldValue::Number(number) | FieldValue::Digits(number), _) => format!("\"{number}\""),
        }
    }
}

fn write_form(fields: &FieldList) -> String {
    let mut form = String::new();
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        // Writing to a String cannot fail.
        let _ = match value {
            FieldValue::Text(text) => write!(form, "{name}={}", encode(text)),
            FieldValue::Number(number) | FieldValue::Digits(number) => {
                write!(form, "{name}={number}")
            }
        };
    }
    form
}

/// Percent-encodes a query value.
pub(super) fn encode(text: &str) -> String {
    const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, UNSAFE).to_string()
}
