//! Whether a request comes from the own site.

use http::{HeaderMap, HeaderName, HeaderValue, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request says about where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From a page of this site.
    Own,
    /// From elsewhere.
    Foreign,
    /// It does not say: no browser of today, and no other site can be behind it.
    Unsaid,
}

impl Origin {
    /// 1. Where the browser says `Sec-Fetch-Site`, it must be `same-origin`, and that is enough: no page can make it up.
    /// 2. Else, where it says `Origin`, that must be `own`.
    pub(super) fn of(headers: &HeaderMap, own: &str) -> Self {
        let all = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let (mut sites, mut origins) = (all(SEC_FETCH_SITE), all(header::ORIGIN));
        let is_own = match (sites.next(), origins.next()) {
            (None, None) => return Self::Unsaid,
            (Some(site), _) => site == b"same-origin",
            (None, Some(origin)) => origin == own.as_bytes(),
        };
        if is_own && sites.next().is_none() && origins.next().is_none() {
            Self::Own
        } else {
            Self::Foreign
        }
    }
}

/// Path and query of a URL of this site.
pub(super) fn local_part<'u>(url: &'u HeaderValue, own: &str) -> Option<&'u str> {
    let path = url.to_str().ok()?.strip_prefix(own)?;
    path.starts_with('/').then_some(path)
}
