//! The logout path. Signing out changes something, so it is a POST, and no other site may ask for it.

use http::{StatusCode, header};

use super::{
    Flow, Head,
    messages::Reason,
    origin::Origin,
    page::{Notice, OwnResponse, see_other},
    visitor::Visitor,
};

impl Flow {
    pub(super) fn logout(&self, head: Head<'_>) -> OwnResponse {
        let own = self.client.app().redirect_uri.origin();
        if Origin::of(head.headers, own) == Origin::Foreign {
            let notice = Notice {
                status: StatusCode::FORBIDDEN,
                reason: Reason::CrossSite,
                url: "/",
                error: None,
            };
            return notice.respond(Visitor::of(head.headers), self.failure_page.as_ref());
        }
        let mut response = see_other(&self.return_to(head.query()).to_string());
        let cookie = self.sessions.end();
        response.headers_mut().append(header::SET_COOKIE, cookie);
        response
    }
}
