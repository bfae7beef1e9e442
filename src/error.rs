//! What can go wrong: with a configuration ([`ConfigError`]) and with a login ([`LoginError`]).

use std::{borrow::Cow, fmt, time::Duration};

use http::StatusCode;

/// A setting that cannot work.
///
/// The text names the setting and, where there is one, the environment variable. It never holds a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    problem: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        let problem = problem.into();
        Self { setting, problem }
    }

    /// The setting at fault, such as `app key (QQ_APP_KEY)`.
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

// `fn main() -> Result<(), Box<dyn Error>>` prints Debug: let it read as well as Display.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// Why a login did not succeed.
///
/// The text is made of our own words: it never holds an address, a reply of QQ, a token, a code or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginError {
    kind: LoginErrorKind,
    step: Option<Step>,
    qq_code: Option<i64>,
    retry_after: Option<Duration>,
    detail: Cow<'static, str>,
    reason: Option<String>,
    support_code: Option<String>,
}

/// What kind of failure a [`LoginError`] is: one for each answer that the web sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginErrorKind {
    /// The state is missing, forged, expired or from another browser.
    InvalidState,
    /// The callback has no code, or repeated or odd parameters.
    InvalidCallback,
    /// The person cancelled, or QQ reported an error to the callback.
    Cancelled,
    /// QQ does not accept the code or the token (any more): sign in again.
    CodeRejected,
    /// The app itself said no.
    Refused,
    /// App id, app key or redirect URI are wrong: the operator must act.
    Misconfigured,
    /// The QQ app is not approved yet: only the QQ number that registered it can sign in.
    NotApproved,
    /// QQ's answer names another app: the token was not made for us.
    AudienceMismatch,
    /// QQ could not be reached, or answered something that is no answer.
    QqUnavailable,
    /// QQ is too busy.
    QqBusy,
    /// This site has too many logins under way.
    Overloaded,
    /// QQ did not answer in time.
    QqTimeout,
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
    /// The kind as programs see it, such as `invalid_state`.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidState => "invalid_state",
            Self::InvalidCallback => "invalid_callback",
            Self::Cancelled => "cancelled",
            Self::CodeRejected => "code_rejected",
            Self::Refused => "refused",
            Self::Misconfigured => "misconfigured",
            Self::NotApproved => "not_approved",
            Self::AudienceMismatch => "audience_mismatch",
            Self::QqUnavailable => "qq_unavailable",
            Self::QqBusy => "qq_busy",
            Self::Overloaded => "overloaded",
            Self::QqTimeout => "qq_timeout",
        }
    }

    /// The status of the response that tells of it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidState | Self::InvalidCallback | Self::CodeRejected => {
                StatusCode::BAD_REQUEST
            }
            Self::Cancelled | Self::Refused => StatusCode::FORBIDDEN,
            Self::Misconfigured
            | Self::NotApproved
            | Self::AudienceMismatch
            | Self::QqUnavailable => StatusCode::BAD_GATEWAY,
            Self::QqBusy | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::QqTimeout => StatusCode::GATEWAY_TIMEOUT,
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
            detail: detail.into(),
            reason: None,
            support_code: None,
        }
    }

    pub(crate) fn at(mut self, step: Step) -> Self {
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

    /// What kind of failure this is.
    pub fn kind(&self) -> LoginErrorKind {
        self.kind
    }

    /// The number by which QQ explained itself, such as 100020, if it did.
    pub fn qq_code(&self) -> Option<i64> {
        self.qq_code
    }

    /// The call to QQ at which it happened: `token`, `openid`, `profile` or `open_api`.
    pub fn step(&self) -> Option<&'static str> {
        self.step.map(Step::name)
    }

    /// What the app said to the person when it refused them, by [`Verdict::Refuse`](crate::Verdict::Refuse).
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The code that the page shows and the log line holds; `None` for an error of a bare
    /// [`QqClient`](crate::QqClient).
    pub fn support_code(&self) -> Option<&str> {
        self.support_code.as_deref()
    }

    /// How long to wait before trying again, where that is known: whole seconds.
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
            Some(code) => write!(f, " (qq code {code})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LoginError {}

impl Step {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::OpenApi => "open_api",
        }
    }
}
