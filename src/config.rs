//! Settings from the environment, and errors about settings.

use std::{env, fmt, fs};

use crate::random::is_url_safe;

/// One or more invalid settings.
///
/// The text has one line for each: the setting, its environment variable if it has one, the
/// problem, and the invalid value unless it is secret.
///
/// ```
/// use tower_qq_auth::QqApp;
///
/// let error = QqApp::new("my-app", "", "https://example.com/auth/qq/callback").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "app id (QQ_APP_ID) must be 1 to 20 digits: \"my-app\"\n\
///      app key (QQ_APP_KEY) must be 1 to 256 visible ASCII characters",
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    lines: Vec<String>,
}

impl ConfigError {
    pub(crate) fn new(setting: &str, problem: impl fmt::Display) -> Self {
        let lines = vec![format!("{setting} {problem}")];
        Self { lines }
    }

    /// Creates an error that quotes the value, which must not be secret.
    pub(crate) fn with_value(setting: &str, problem: impl fmt::Display, value: &str) -> Self {
        // Enough for every valid redirect URI.
        const MAX_SHOWN_CHARS: usize = 460;
        if may_be_secret(value) {
            return Self::new(setting, problem);
        }
        let shown: String = value.chars().take(MAX_SHOWN_CHARS).collect();
        let rest = if shown.len() < value.len() {
            " …"
        } else {
            ""
        };
        Self::new(setting, format_args!("{problem}: {shown:?}{rest}"))
    }
}

/// Returns whether a value may be a URL with a password, or the app key in the place of another
/// value.
fn may_be_secret(value: &str) -> bool {
    const MIN_KEY_LEN: usize = 16;
    let has = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
    let may_be_key = value.len() >= MIN_KEY_LEN
        && is_url_safe(value.as_bytes())
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic);
    may_be_key || value.contains(['@', '＠'])
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

// `fn main() -> Result<(), Box<dyn Error>>` prints `Debug`, which should read as well.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// Collects the errors of one builder, so that `build()` reports them all at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// Returns the value, or keeps the error for [`finish`](Self::finish).
    pub(crate) fn collect<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn push(&mut self, error: ConfigError) {
        self.0.extend(error.lines);
    }

    pub(crate) fn finish(self) -> Result<(), ConfigError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into_error())
        }
    }

    pub(crate) fn into_error(self) -> ConfigError {
        ConfigError { lines: self.0 }
    }
}

/// Returns the problem if quotes or a byte order mark stand around a value.
///
/// Shells and editors add them unseen, and few other rules would find them in an app key.
pub(crate) fn find_wrapping(value: &str) -> Option<&'static str> {
    let has = |ends: &[char]| value.starts_with(ends) || value.ends_with(ends);
    if has(&['\u{feff}']) {
        Some("has a byte order mark (U+FEFF) around it: remove it")
    } else if has(&['"', '\'', '`', '“', '”', '‘', '’', '＂', '＇']) {
        Some("has quotes around it: remove them")
    } else {
        None
    }
}

/// Reads an environment variable. An empty one counts as missing.
pub(crate) fn read_variable(name: &str, setting: &str) -> Result<Option<String>, ConfigError> {
    match env::var(name) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(ConfigError::new(setting, "is not UTF-8")),
    }
}

/// A secret, and its setting as error texts name it.
pub(crate) struct Secret {
    pub(crate) text: String,
    pub(crate) setting: String,
}

/// Reads a secret from an environment variable, or from the file that `<variable>_FILE` names.
///
/// Whitespace around it is removed: editors and `echo` end a file with a line feed.
pub(crate) fn read_secret(noun: &str, variable: &str) -> Result<Option<Secret>, ConfigError> {
    let setting = format!("{noun} ({variable})");
    let file_variable = format!("{variable}_FILE");
    let file_setting = format!("{noun} file ({file_variable})");
    let value = read_variable(variable, &setting)?;
    let path = read_variable(&file_variable, &file_setting)?;
    let Some(path) = path else {
        return Ok(value.map(|text| Secret { text, setting }));
    };
    if value.is_some() {
        let problem = format!("is set twice: unset it or {file_variable}");
        return Err(ConfigError::new(&setting, problem));
    }
    let fail = |problem: &str| ConfigError::with_value(&file_setting, problem, &path);
    let text = fs::read_to_string(&path).map_err(|error| match find_wrapping(&path) {
        Some(problem) => fail(problem),
        None => fail(&format!("cannot be read ({error})")),
    })?;
    let text = text.trim().to_owned();
    if text.is_empty() {
        return Err(fail("is empty"));
    }
    Ok(Some(Secret {
        text,
        setting: file_setting,
    }))
}
