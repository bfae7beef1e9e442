//! The initiator of a request: a page, the user or a program.

use http::HeaderValue;

use crate::origins::Origins;

/// The initiator of a request, by `Sec-Fetch-Site` and `Origin`. `Referer` proves nothing.
///
/// 1. `Sec-Fetch-Site: same-origin`, which no page can forge, is a page of this site, whatever
///    `Origin` says: it is `null` on pages that send no `Referer`.
/// 2. `cross-site` is another site, even if `Origin` is trusted. Its browser would not send the
///    layer's cookies anyway.
/// 3. Else exactly one `Origin` that is the site's or a trusted one decides.
/// 4. Without `Origin`, `Sec-Fetch-Site: none` is the user, and without both headers the initiator
///    is unknown.
/// 5. Everything else is foreign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Initiator {
    /// A page of this site.
    Site,
    /// A page of a trusted origin.
    Trusted,
    /// A page of a trusted origin that belongs to another site.
    TrustedElsewhere,
    /// The user, without a page: the address bar, a bookmark, a link in another app.
    User,
    /// A program, or a `GET` of a browser from before 2023. Browsers since 2020 send `Origin` with
    /// every `POST`.
    Unknown,
    /// Any other page.
    Foreign,
}

impl Initiator {
    pub(super) fn new(sec_fetch_site: Single<'_>, origin: Single<'_>, origins: &Origins) -> Self {
        use Single::{Missing, Once};
        match (sec_fetch_site, origin) {
            (Once(b"same-origin"), _) => Self::Site,
            (Once(b"cross-site"), Once(origin)) if origins.is_trusted(origin) => {
                Self::TrustedElsewhere
            }
            (Once(b"cross-site") | Single::Repeated, _) => Self::Foreign,
            (_, Once(origin)) if origin == origins.site().as_bytes() => Self::Site,
            (_, Once(origin)) if origins.is_trusted(origin) => Self::Trusted,
            (Once(b"none"), Missing) => Self::User,
            (Missing, Missing) => Self::Unknown,
            _ => Self::Foreign,
        }
    }

    /// Returns whether the request may end the session. The user alone sends no `POST`.
    pub(crate) fn may_sign_out(self) -> bool {
        match self {
            Self::Site | Self::Trusted | Self::Unknown => true,
            Self::TrustedElsewhere | Self::User | Self::Foreign => false,
        }
    }

    /// Returns whether the request, which is no navigation, may start a login.
    pub(crate) fn may_start_by_script(self) -> bool {
        self.may_sign_out()
    }

    /// Returns whether the request may start a login with an intent. `is_json` is `true` if it is a
    /// script's: another user could have put a link on a page of a trusted origin.
    pub(crate) fn may_start_intent(self, is_json: bool) -> bool {
        match self {
            Self::Site => true,
            Self::Trusted => is_json,
            Self::TrustedElsewhere | Self::User | Self::Unknown | Self::Foreign => false,
        }
    }

    /// Returns whether the response may change who the user of the session is.
    pub(crate) fn may_change_user(self) -> bool {
        !self.is_foreign()
    }

    /// Returns whether a page of another site may have caused the request.
    pub(crate) fn is_foreign(self) -> bool {
        match self {
            Self::TrustedElsewhere | Self::Foreign => true,
            Self::Site | Self::Trusted | Self::User | Self::Unknown => false,
        }
    }
}

/// A header that should not be repeated.
#[derive(Clone, Copy, Default)]
pub(super) enum Single<'r> {
    #[default]
    Missing,
    Once(&'r [u8]),
    Repeated,
}

impl<'r> Single<'r> {
    pub(super) fn push(&mut self, value: &'r HeaderValue) {
        *self = match self {
            Self::Missing => Self::Once(value.as_bytes()),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}
