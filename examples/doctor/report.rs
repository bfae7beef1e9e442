//! The report: one line a finding.

use crate::language::say;

/// The subject of a finding.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    Settings,
    SessionKey,
    Redis,
    Proxy,
    Network,
    Clock,
    LoginPage,
    AppKey,
    Site,
}

impl Check {
    fn name(self) -> String {
        match self {
            Self::Settings => say("settings", "配置"),
            Self::SessionKey => say("session key", "会话密钥"),
            Self::Redis => say("redis", "Redis"),
            Self::Proxy => say("proxy", "代理"),
            Self::Network => say("network", "网络"),
            Self::Clock => say("clock", "时钟"),
            Self::LoginPage => say("login page", "登录页"),
            Self::AppKey => say("app key", "APP Key"),
            Self::Site => say("site", "网站"),
        }
    }
}

#[derive(Default)]
pub(crate) struct Report {
    errors: usize,
    warnings: usize,
}

impl Report {
    pub(crate) fn ok(&mut self, check: Check, finding: impl AsRef<str>) {
        print(say("ok", "正常"), check, finding.as_ref());
    }

    /// Reports a finding that may be intended.
    pub(crate) fn warning(
        &mut self,
        check: Check,
        finding: impl AsRef<str>,
        advice: impl AsRef<str>,
    ) {
        self.warnings += 1;
        let line = format!("{} -> {}", finding.as_ref(), advice.as_ref());
        print(say("warning", "警告"), check, &line);
    }

    /// Reports a finding that must be corrected.
    pub(crate) fn error(
        &mut self,
        check: Check,
        finding: impl AsRef<str>,
        advice: impl AsRef<str>,
    ) {
        self.errors += 1;
        let line = format!("{} -> {}", finding.as_ref(), advice.as_ref());
        print(say("error", "错误"), check, &line);
    }

    /// Prints the number of findings, and returns whether there is no error.
    pub(crate) fn finish(self) -> bool {
        let Self { errors, warnings } = self;
        println!(
            "{}",
            say(
                format!("errors: {errors}, warnings: {warnings}"),
                format!("错误 {errors} 项，警告 {warnings} 项"),
            )
        );
        errors == 0
    }
}

fn print(severity: String, check: Check, line: &str) {
    let line = escape(line);
    println!("{} {} {line}", pad(severity, 8), pad(check.name(), 12));
}

/// Pads a text to this many columns of a terminal.
fn pad(mut text: String, columns: usize) -> String {
    let width: usize = text.chars().map(|it| 1 + usize::from(!it.is_ascii())).sum();
    text.extend(std::iter::repeat_n(' ', columns.saturating_sub(width)));
    text
}

/// Escapes what could control a terminal or reorder a line, and cuts a line that is too long:
/// parts of it may come from a server.
fn escape(line: &str) -> String {
    const MAX_CHARS: usize = 800;
    let mut escaped = String::new();
    for (at, char) in line.chars().enumerate() {
        if at == MAX_CHARS {
            escaped.push('…');
            break;
        }
        let is_invisible = matches!(
            char,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        );
        if char.is_control() || is_invisible {
            escaped.extend(char.escape_unicode());
        } else {
            escaped.push(char);
        }
    }
    escaped
}
