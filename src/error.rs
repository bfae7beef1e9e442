//! Errors of logins.

use std::{borrow::Cow, fmt, time::Duration};

use http::StatusCode;

/// The reason why a login failed.
///
/// A response that shows a failed login carries it in its extensions. Its text never contains a
/// URL, a reply of QQ, a token, a code or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginError {
    kind: LoginErrorKind,
    step: Option<Step>,
    qq_code: Option<i64>,
    retry_after: Option<Duration>,
    cause: Option<StateCause>,
    is_unsent: bool,
    detail: Cow<'static, str>,
    reason: Option<String>,
    support_code: Option<String>,
}

/// The kind of a [`LoginError`].
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

/// The cause of an [`InvalidState`](LoginErrorKind::InvalidState), for events and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StateCause {
    /// The browser sent no cookie for this state.
    NoCookie,
    /// The callback has no state.
    NoState,
    /// The login started more than 10 minutes ago.
    Expired,
    /// The login is finished, or under way with another code.
    Used,
    /// No session key opens the login cookie.
    UnknownKey,
    /// The browser sent no login cookie because it came by another host.
    OtherHost,
    /// The state is malformed, repeated, or not the one of the login cookie.
    Forged,
}

/// A call to QQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Token,
    OpenId,
    Profile,
    OpenApi,
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

impl LoginError {
    pub(crate) fn new(kind: LoginErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            step: None,
            qq_code: None,
            retry_after: None,
            cause: None,
            is_unsent: false,
            detail: detail.into(),
            reason: None,
            support_code: None,
        }
    }

    /// Creates the error for a page that the browser prefetches.
    pub(crate) fn prefetch() -> Self {
        let detail = "the browser loads the page ahead of a click";
        Self::new(LoginErrorKind::Prefetch, detail)
    }

    /// Creates the error for a login that has ended, or that runs with another code.
    pub(crate) fn used() -> Self {
        Self::new(LoginErrorKind::InvalidState, "the login is finished")
            .with_cause(StateCause::Used)
    }

    /// Creates the error for a login that a reload can try again.
    pub(crate) fn overloaded(detail: &'static str) -> Self {
        Self::new(LoginErrorKind::Overloaded, detail).with_retry_after(Duration::from_secs(2))
    }

    /// Creates the error for a session that cannot be checked.
    pub(crate) fn unverified() -> Self {
        Self::new(
            LoginErrorKind::SessionUnverified,
            "the revocation list is unavailable",
        )
        .with_retry_after(Duration::from_secs(1))
    }

    /// Creates the error for a user who was revoked since the login began.
    #[cfg(feature = "revocation")]
    pub(crate) fn revoked_meanwhile() -> Self {
        let detail = "the user was revoked while the login was under way";
        Self::new(LoginErrorKind::Refused, detail)
    }

    pub(crate) fn with_step(mut self, step: Step) -> Self {
        self.step = Some(step);
        self
    }

    pub(crate) fn with_qq_code(mut self, code: Option<i64>) -> Self {
        self.qq_code = code;
        self
    }

    pub(crate) fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    pub(crate) fn with_reason(mut self, reason: String) -> Self {
        self.reason = Some(reason);
        self
    }

    pub(crate) fn with_support_code(mut self, code: String) -> Self {
        self.support_code = Some(code);
        self
    }

    pub(crate) fn with_kind(mut self, kind: LoginErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the cause of an invalid state.
    pub(crate) fn with_cause(mut self, cause: StateCause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Notes that no byte of the request has left this process.
    #[cfg(feature = "reqwest")]
    pub(crate) fn with_unsent(mut self) -> Self {
        self.is_unsent = true;
        self
    }

    pub(crate) fn cause(&self) -> Option<StateCause> {
        self.cause
    }

    /// Returns whether the code of the login is still good: its request never left this process.
    pub(crate) fn is_code_unused(&self) -> bool {
        self.is_unsent && self.step == Some(Step::Token)
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> LoginErrorKind {
        self.kind
    }

    /// Returns QQ's error code, such as 100020, if QQ sent one.
    pub fn qq_code(&self) -> Option<i64> {
        self.qq_code
    }

    /// Returns the step at which the login failed, if QQ was called: `token`, `openid`, `profile`
    /// or `open_api`.
    pub fn step(&self) -> Option<&'static str> {
        self.step.map(Step::name)
    }

    /// Returns the reason that the app gave to [`Verdict::refuse`](crate::Verdict::refuse).
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns the code that the page shows and the log line contains. `None` for an error of a
    /// bare [`QqClient`](crate::QqClient), apart from [`verify`](crate::QqClient::verify).
    pub fn support_code(&self) -> Option<&str> {
        self.support_code.as_deref()
    }

    /// Returns the time to wait before another login, in whole seconds, if it is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.code())?;
        if let Some(step) = self.step {
            write!(f, " at {}", step.name())?;
        }
        write!(f, ": {}", self.detail)?;
        match self.qq_code {
            Some(code) => write!(f, " (QQ code {code})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LoginError {}

impl StateCause {
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 7] = [
        Self::NoCookie,
        Self::NoState,
        Self::Expired,
        Self::Used,
        Self::UnknownKey,
        Self::OtherHost,
        Self::Forged,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoCookie => "no_cookie",
            Self::NoState => "no_state",
            Self::Expired => "expired",
            Self::Used => "used",
            Self::UnknownKey => "unknown_key",
            Self::OtherHost => "other_host",
            Self::Forged => "forged",
        }
    }
}

impl Step {
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 4] = [Self::Token, Self::OpenId, Self::Profile, Self::OpenApi];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::OpenApi => "open_api",
        }
    }
}
