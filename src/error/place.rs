//! The place of a failure: a call to QQ, or the cause of an invalid state.

/// The cause of an [`InvalidState`](crate::LoginErrorKind::InvalidState), for events and metrics.
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
