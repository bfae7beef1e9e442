//! The site that a request comes from.

use http::{HeaderMap, HeaderName, HeaderValue, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A page of this site.
    Own,
    /// Another site.
    Foreign,
    /// The request does not say: no current browser sent it, so no other site caused it.
    Unknown,
}

impl Origin {
    /// 1. `Sec-Fetch-Site`, which no page can forge, decides alone: only `same-origin` is own.
    /// 2. Without it, `Origin` must equal `own_origin`.
    pub(crate) fn of(headers: &HeaderMap, own_origin: &str) -> Self {
        let all = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let (mut sites, mut origins) = (all(SEC_FETCH_SITE), all(header::ORIGIN));
        let is_own = match (sites.next(), origins.next()) {
            (None, None) => return Self::Unknown,
            (Some(site), _) => site == b"same-origin",
            (None, Some(origin)) => origin == own_origin.as_bytes(),
        };
        if is_own && sites.next().is_none() && origins.next().is_none() {
            Self::Own
        } else {
            Self::Foreign
        }
    }
}

/// Returns path and query of a URL of this site.
pub(crate) fn path_on_site<'u>(url: &'u HeaderValue, own_origin: &str) -> Option<&'u str> {
    let path = url.to_str().ok()?.strip_prefix(own_origin)?;
    path.starts_with('/').then_some(path)
}
