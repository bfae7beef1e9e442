//! The site that a request comes from.

use http::{HeaderMap, HeaderName, HeaderValue, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The site that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A page of this site.
    ThisSite,
    /// Another site.
    Foreign,
    /// The request has no such header. Current browsers send one, so no other site caused it.
    Unknown,
}

impl Origin {
    /// Classifies the origin of a request.
    ///
    /// 1. `Sec-Fetch-Site`, which no page can forge, decides alone: only `same-origin` counts as
    ///    this site.
    /// 2. Without it, `Origin` must equal `site_origin`.
    pub(crate) fn of(headers: &HeaderMap, site_origin: &str) -> Self {
        let all = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let (mut sites, mut origins) = (all(SEC_FETCH_SITE), all(header::ORIGIN));
        let is_same = match (sites.next(), origins.next()) {
            (None, None) => return Self::Unknown,
            (Some(site), _) => site == b"same-origin",
            (None, Some(origin)) => origin == site_origin.as_bytes(),
        };
        if is_same && sites.next().is_none() && origins.next().is_none() {
            Self::ThisSite
        } else {
            Self::Foreign
        }
    }
}

/// Returns whether a script of another site sent a request that is not a navigation.
///
/// Unlike [`Origin::of`] it lets a request pass that a user has sent without any page.
pub(crate) fn is_foreign_script(headers: &HeaderMap, site_origin: &str) -> bool {
    match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"none") => false,
        _ => Origin::of(headers, site_origin) == Origin::Foreign,
    }
}

/// Returns path and query of a URL of this site.
pub(crate) fn path_on_site<'u>(url: &'u HeaderValue, site_origin: &str) -> Option<&'u str> {
    let path = url.to_str().ok()?.strip_prefix(site_origin)?;
    path.starts_with('/').then_some(path)
}
