//! Errors of logins.

use std::{borrow::Cow, fmt, time::Duration};

pub(crate) mod kind;
pub(crate) mod place;

use self::{
    kind::LoginErrorKind,
    place::{StateCause, Step},
};

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
