//! Making a damaged reply of an API readable: QQ sends nicknames that JSON forbids.

use serde_json::{Map, Value};

/// Replaces what JSON forbids inside a text. Control characters become blanks; bytes that are not
/// UTF-8 and halves of surrogate pairs become `U+FFFD`.
pub(super) fn mend(body: &[u8]) -> String {
    let text = replace_unreadable_bytes(body);
    let text = text.replace(|ch: char| ch < ' ', " ");
    replace_lone_surrogates(&text)
}

/// Removes the fields of which [`mend`] could not save every character.
pub(super) fn remove_unreadable(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !is_unreadable(value));
}

fn is_unreadable(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(char::REPLACEMENT_CHARACTER),
        Value::Array(values) => values.iter().any(is_unreadable),
        Value::Object(object) => object.values().any(is_unreadable),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn replace_unreadable_bytes(body: &[u8]) -> String {
    let mut text = String::new();
    let mut is_odd = false;
    for chunk in body.utf8_chunks() {
        let (mut valid, invalid) = (chunk.valid(), chunk.invalid());
        if !valid.is_empty() {
            // In GBK the second byte of a character may be ASCII, a backslash among others.
            if is_odd && valid.starts_with(|ch| matches!(ch, '@'..='~')) {
                valid = &valid[1..];
            }
            is_odd = false;
        }
        text.push_str(valid);
        if !invalid.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            is_odd ^= invalid.len() % 2 == 1;
        }
    }
    text
}

fn replace_lone_surrogates(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let len = match (surrogate(escape), escape.get(6..).and_then(surrogate)) {
            (Some(0xd800..0xdc00), Some(0xdc00..)) => 12,
            (Some(_), _) => {
                mended.push(char::REPLACEMENT_CHARACTER);
                rest = &escape[6..];
                continue;
            }
            // A backslash and the character that it escapes, perhaps another backslash.
            (None, _) => escape.chars().take(2).map(char::len_utf8).sum(),
        };
        mended.push_str(&escape[..len]);
        rest = &escape[len..];
    }
    mended + rest
}

/// Returns the code of the surrogate that a text starts with, such as `\ud83d`.
fn surrogate(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let code = u16::from_str_radix(digits, 16).ok()?;
    (0xd800..=0xdfff).contains(&code).then_some(code)
}
