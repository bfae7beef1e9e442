//! The session keys: their strength, and the way in which each was read.

use std::env;

use tower_qq_auth::SessionKeys;

use crate::language::say;
use crate::report::{Check, Report};
use crate::settings::report_problems;

pub(crate) fn check(report: &mut Report) {
    let variable = env::var("QQ_SESSION_KEY").unwrap_or_default();
    let texts: Vec<&str> = variable.split(',').map(str::trim).collect();
    let readings: Vec<String> = texts.iter().map(|text| describe(text)).collect();
    let readings = readings.join(&say("; ", "；"));
    if let Err(error) = SessionKeys::from_env() {
        let note = match variable.trim() {
            "" => String::new(),
            _ => say(format!(" (read as {readings})"), format!("（{readings}）")),
        };
        report_problems(report, Check::SessionKey, &error, &note);
        return;
    }
    report.ok(
        Check::SessionKey,
        match texts.len() {
            1 => readings,
            count => say(
                format!("{count} keys, the first one seals: {readings}"),
                format!("共 {count} 个，第一个用于加密：{readings}"),
            ),
        },
    );
    for (index, text) in texts.iter().enumerate() {
        if looks_mistyped(text) {
            let number = index + 1;
            report.warning(
                Check::SessionKey,
                say(
                    format!("key {number} looks like hex with a mistake, and counts as base64"),
                    format!("第 {number} 个像是有误的十六进制，已按 base64 解析"),
                ),
                say(
                    "compare it with the original: a digit is missing, added or changed. All machines need the same key",
                    "与原来的密钥核对：多了、少了或改了一位。各服务器的密钥必须相同",
                ),
            );
        }
    }
}

/// Returns how `SessionKeys::parse` reads a key, and its length.
fn describe(text: &str) -> String {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    let (form, length) = if is_hex(text) {
        (say("hex", "十六进制"), text.len() / 2)
    } else if text.bytes().all(is_base64) {
        let digits = text.trim_end_matches('=').len();
        ("base64".into(), digits * 3 / 4)
    } else {
        return say("neither hex nor base64", "既不是十六进制也不是 base64");
    };
    say(
        format!("{form}, {length} bytes"),
        format!("{form}，{length} 字节"),
    )
}

fn is_hex(text: &str) -> bool {
    text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns whether nine of ten characters are hex digits, and the text still is no hex. Of random
/// base64 a third are.
fn looks_mistyped(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    !is_hex(text) && digits * 10 >= text.len() * 9
}
