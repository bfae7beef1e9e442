//! The logout path.
//!
//! Signing out changes something, so it is a POST, and only from the own site:
//!
//! 1. Where the browser says `Sec-Fetch-Site`, it must be `same-origin`.
//! 2. Where it says `Origin`, that must be the origin of the redirect URI; `null` will do only with the first.
//! 3. Where it says neither, it is no browser, and no other site can be behind it.

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::{
    Flow, Head,
    messages::Reason,
    page::{Notice, OwnResponse, see_other},
    visitor::Visitor,
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Flow {
    pub(super) fn logout(&self, head: Head<'_>) -> OwnResponse {
        if !is_same_origin(head.headers, self.client.app().redirect_uri.origin()) {
            return Notice {
                status: StatusCode::FORBIDDEN,
                code: "cross_site",
                reason: Reason::CrossSite,
                url: "/",
                support_code: None,
                retry_after: None,
            }
            .respond(Visitor::of(head.headers));
        }
        let mut response = see_other(&self.return_to(head.query()).to_string());
        let cookie = self.sessions.end();
        response.headers_mut().append(header::SET_COOKIE, cookie);
        response
    }
}

fn is_same_origin(headers: &HeaderMap, own: &str) -> bool {
    let all = |name| headers.get_all(name).iter().map(|value| value.as_bytes());
    let mut sites = all(SEC_FETCH_SITE);
    let mut origins = all(header::ORIGIN);
    match (sites.next(), origins.next()) {
        (None, None) => true,
        (Some(b"same-origin"), None | Some(b"null")) => sites.next().is_none(),
        (None | Some(b"same-origin"), Some(origin)) => {
            origin == own.as_bytes() && sites.next().is_none() && origins.next().is_none()
        }
        _ => false,
    }
}
