//! The languages of the crate's pages and texts.

/// A language of the layer's pages and texts. Pages follow `Accept-Language`; by default they are
/// Chinese.
///
/// ```
/// use tower_qq_auth::{Language, codes::QqCode};
///
/// let code = QqCode::find(100067).expect("a known code");
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
