//! The languages in which this crate speaks to people.

/// A language of our pages and texts.
///
/// ```
/// use tower_qq_auth::{Language, QqCode};
///
/// let code = QqCode::find(100067).expect("a code of QQ's");
/// assert_eq!(code.what(Language::default()), "code 已过期");
/// assert_eq!(code.what(Language::English), "the code has expired");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// Simplified Chinese.
    #[default]
    Chinese,
    /// English.
    English,
}
