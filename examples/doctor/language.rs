//! The language of the report, by the locale of the terminal.

use std::{env, sync::LazyLock};

use tower_qq_auth::Language;

static LANGUAGE: LazyLock<Language> = LazyLock::new(|| {
    let variables = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter();
    let locale = variables
        .filter_map(|name| env::var(name).ok())
        .find(|value| !value.is_empty());
    match locale {
        Some(locale) if locale.starts_with("zh") => Language::Chinese,
        _ => Language::English,
    }
});

pub(crate) fn language() -> Language {
    *LANGUAGE
}

/// Returns the text in the language of the report.
pub(crate) fn say(english: impl Into<String>, chinese: impl Into<String>) -> String {
    match language() {
        Language::Chinese => chinese.into(),
        _ => english.into(),
    }
}
