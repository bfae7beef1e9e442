//! The page that made a browser send a request.

use http::HeaderValue;

use crate::origins::Origins;

/// The page that made a browser send a request, by `Sec-Fetch-Site` and `Origin`.
///
/// 1. `Sec-Fetch-Site: same-origin`, which no page can forge, is a page of this site, whatever
///    `Origin` says: it is `null` on pages that send no `Referer`.
/// 2. `cross-site` is another site, even if `Origin` is trusted. Its browser would not send the
///    layer's cookies anyway.
/// 3. Else exactly one `Origin` that equals the own or a trusted one decides.
/// 4. Everything else is foreign, but for a request without an `Origin` that has no
///    `Sec-Fetch-Site` either, or `none`. These name no page, so they prove nothing, and no page of
///    another site has caused them.
///
/// `Referer` proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A page of this site.
    Site,
    /// A page of a trusted origin.
    Trusted,
    /// A page of a trusted origin that belongs to another site.
    TrustedElsewhere,
    /// The user, without a page: the address bar, a bookmark, a link in another app.
    User,
    /// A program, or a browser that sends neither header with this request, such as a `GET` of one
    /// from before 2023.
    Program,
    /// Any other page.
    Foreign,
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

impl Caller {
    pub(super) fn new(sec_fetch_site: Single<'_>, origin: Single<'_>, origins: &Origins) -> Self {
        use Single::{Missing, Once};
        match (sec_fetch_site, origin) {
            (Once(b"same-origin"), _) => Self::Site,
            (Once(b"cross-site"), Once(origin)) if origins.is_trusted(origin) => {
                Self::TrustedElsewhere
            }
            (Once(b"cross-site") | Single::Repeated, _) => Self::Foreign,
            (_, Once(origin)) if origin == origins.own().as_bytes() => Self::Site,
            (_, Once(origin)) if origins.is_trusted(origin) => Self::Trusted,
            (Once(b"none"), Missing) => Self::User,
            (Missing, Missing) => Self::Program,
            _ => Self::Foreign,
        }
    }

    /// Returns whether a page of another site may have caused the request.
    pub(crate) fn is_foreign(self) -> bool {
        matches!(self, Self::Foreign | Self::TrustedElsewhere)
    }

    /// Returns whether the request may do what only a page or a program does, never the user alone:
    /// end the session, or start a login by a script.
    pub(crate) fn may_act(self) -> bool {
        matches!(self, Self::Site | Self::Trusted | Self::Program)
    }
}
