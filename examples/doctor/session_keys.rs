//! The session keys: their strength, and the way in which each was read.

use std::{env, fs};

use tower_qq_auth::SessionKeys;

use crate::language::say;
use crate::report::{Check, Report};
use crate::settings::report_problems;

/// Random base64 has far more characters that are no hex digits.
const MAX_MISTYPED: usize = 4;

pub(crate) fn check(report: &mut Report) {
    let file = || fs::read_to_string(env::var("QQ_SESSION_KEY_FILE").ok()?.trim()).ok();
    let variable = env::var("QQ_SESSION_KEY").ok();
    let keys = variable.filter(|keys| !keys.trim().is_empty());
    let keys = keys.or_else(file).unwrap_or_default();
    let texts: Vec<&str> = keys.split(',').map(str::trim).collect();
    let readings: Vec<String> = texts.iter().map(|text| describe(text)).collect();
    let readings = readings.join(&say("; ", "；"));
    if let Err(error) = SessionKeys::from_env() {
        let note = match keys.trim() {
            "" => String::new(),
            _ => say(format!(" ({readings})"), format!("（{readings}）")),
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
}

/// Returns how `SessionKeys::parse` reads a key, and its length.
fn describe(text: &str) -> String {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let others = text.len() - digits;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    let (form, length) = if others == 0 && digits % 2 == 0 {
        (say("hex", "十六进制"), digits / 2)
    } else if others <= MAX_MISTYPED {
        return say(
            format!("hex with a mistake: {digits} hex digits and {others} other characters"),
            format!("十六进制有误：{digits} 个十六进制字符，{others} 个其他字符"),
        );
    } else if text.bytes().all(is_base64) {
        ("base64".into(), text.trim_end_matches('=').len() * 3 / 4)
    } else {
        return say("neither hex nor base64", "既不是十六进制也不是 base64");
    };
    say(
        format!("{form}, {length} bytes"),
        format!("{form}，{length} 字节"),
    )
}
