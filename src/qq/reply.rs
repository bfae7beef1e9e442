//! Parsing a reply of QQ, in any of its three shapes.
//!
//! 1. Blanks around the body and a byte order mark in front of it are ignored.
//! 2. A body that starts with `{` is a JSON object.
//! 3. A body that starts with `callback` and `(` is JSONP: a JSON object, `)`, perhaps `;`, and
//!    nothing else.
//! 4. Any other body is a form: `name=value` pairs joined by `&`.
//! 5. A repeated name makes the reply unreadable; unknown names are ignored.
//!
//! The content type does not matter: QQ sends JSON as `text/html`.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The fields of a reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) fields: Map<String, Value>,
    pub(super) is_form: bool,
}

impl Reply {
    /// Returns `None` if the body has none of the three shapes.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let body = body.trim_ascii_start();
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        let body = body.trim_ascii();
        let (fields, is_form) = match parse_jsonp(body) {
            Some(json) => (parse_object(json)?, false),
            None if body.first() == Some(&b'{') => (parse_object(body)?, false),
            None => (parse_form(body)?, true),
        };
        Some(Self { fields, is_form })
    }

    /// Returns the field that reports an error: `error`, `ret`, or `code` beside `msg`, unless it
    /// is 0 or empty.
    pub(super) fn error(&self) -> Option<&Value> {
        let reports = |value: &&Value| integer(value) != Some(0) && value.as_str() != Some("");
        let field = |name| self.fields.get(name).filter(reports);
        field("error")
            .or_else(|| field("ret"))
            .or_else(|| field("code").filter(|_| self.fields.contains_key("msg")))
    }

    /// Returns a field if it is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }
}

/// Returns the JSON inside `callback(…)`.
fn parse_jsonp(body: &[u8]) -> Option<&[u8]> {
    let inside = body.strip_prefix(b"callback")?.trim_ascii_start();
    let inside = inside.strip_prefix(b"(")?;
    let inside = inside.strip_suffix(b";").unwrap_or(inside).trim_ascii_end();
    inside.strip_suffix(b")").map(<[u8]>::trim_ascii)
}

fn parse_object(json: &[u8]) -> Option<Map<String, Value>> {
    let Object(fields) = serde_json::from_slice(json).ok()?;
    Some(fields)
}

fn parse_form(body: &[u8]) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    for pair in std::str::from_utf8(body).ok()?.split('&') {
        let (name, value) = pair.split_once('=')?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_value = |byte: u8| byte.is_ascii_graphic() && !b"<>\"'\\^`{|}".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        if !value.bytes().all(|byte| is_value(byte) || !byte.is_ascii()) {
            return None;
        }
        let value = value.replace('+', " ");
        let value = percent_decode_str(&value).decode_utf8().ok()?.into_owned();
        if fields.insert(name.into(), value.into()).is_some() {
            return None;
        }
    }
    Some(fields)
}

/// Returns a whole number, which QQ writes as a number or as a string of digits.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok().filter(|_| !text.starts_with('+')),
        _ => None,
    }
}

/// A JSON object without repeated names, of which `serde_json` would keep the last.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = entries.next_entry::<String, Value>()? {
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("repeated name"));
                    }
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}
