//! The kind of an error, with its code and status.

use http::StatusCode;

/// The kind of a [`LoginError`](crate::LoginError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginErrorKind {
    /// The state is missing, forged or expired, or belongs to another browser.
    InvalidState,
    /// The callback has no code, or repeated or malformed parameters.
    InvalidCallback,
    /// The user cancelled, or QQ reported an error without a number to the callback.
    Cancelled,
    /// QQ does not accept the code or the token, or no longer does; a new login helps.
    CodeRejected,
    /// The app refused the login, or the account changed during a login with an intent.
    Refused,
    /// A hook of the app failed or did not finish in time.
    AppFailed,
    /// A setting is wrong: the app's registration, a missing `account_of` or `accept_tokens_of`, a
    /// session that does not fit into a cookie, or an invalid path for `open_api`.
    Misconfigured,
    /// QQ has not approved the app yet; only the QQ number that registered it can sign in.
    NotApproved,
    /// QQ's reply names another user than this login's, or an app whose tokens are not accepted.
    AudienceMismatch,
    /// QQ is unreachable, or its reply is unreadable.
    QqUnavailable,
    /// QQ is too busy.
    QqBusy,
    /// Too many logins are under way at this site, or too many tokens are being verified.
    Overloaded,
    /// QQ did not finish in time.
    QqTimeout,
    /// The request needs a signed-in user.
    LoginRequired,
    /// Another site asked for the logout, or a script of another site for a login.
    CrossSite,
    /// An image, a script or another part of a page asked for a login.
    NotANavigation,
    /// The browser prefetches the page, so no login starts or ends.
    Prefetch,
    /// The revocation list is unavailable, so the session cannot be checked.
    SessionUnverified,
}

impl LoginErrorKind {
    /// Returns the code that programs see, such as `invalid_state`.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidState => "invalid_state",
            Self::InvalidCallback => "invalid_callback",
            Self::Cancelled => "cancelled",
            Self::CodeRejected => "code_rejected",
            Self::Refused => "refused",
            Self::AppFailed => "app_failed",
            Self::Misconfigured => "misconfigured",
            Self::NotApproved => "not_approved",
            Self::AudienceMismatch => "audience_mismatch",
            Self::QqUnavailable => "qq_unavailable",
            Self::QqBusy => "qq_busy",
            Self::Overloaded => "overloaded",
            Self::QqTimeout => "qq_timeout",
            Self::LoginRequired => "login_required",
            Self::CrossSite => "cross_site",
            Self::NotANavigation => "not_a_navigation",
            Self::Prefetch => "prefetch",
            Self::SessionUnverified => "session_unverified",
        }
    }

    /// Returns the status of a response that reports an error of this kind.
    ///
    /// It is never a 5xx: proxies retry, replace and count those, and any visitor could cause them.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidState | Self::InvalidCallback | Self::CodeRejected => {
                StatusCode::BAD_REQUEST
            }
            Self::LoginRequired => StatusCode::UNAUTHORIZED,
            Self::Cancelled
            | Self::Refused
            | Self::CrossSite
            | Self::NotANavigation
            | Self::Prefetch => StatusCode::FORBIDDEN,
            Self::Misconfigured
            | Self::NotApproved
            | Self::AudienceMismatch
            | Self::QqUnavailable
            | Self::QqTimeout
            | Self::QqBusy
            | Self::Overloaded
            | Self::SessionUnverified
            | Self::AppFailed => StatusCode::FAILED_DEPENDENCY,
        }
    }
}
