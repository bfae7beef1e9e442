//! The logout path. Signing out changes something, so it is a POST, and no other site may ask for it.
//!
//! Where there is a revocation list, the session goes on it: its cookie is worthless, not only deleted. If that fails the
//! cookie is deleted all the same; the operator reads of it in the log.

use std::sync::Arc;

use super::{
    Decision, Flow, Head, Outcome, Who,
    audience::Audience,
    messages::Reason,
    origin::Origin,
    page::{Notice, see_other, with_cookie},
};

impl Flow {
    pub(super) fn logout(self: &Arc<Self>, head: Head<'_>, who: Who) -> Decision {
        let own = self.client.app().redirect_uri.origin();
        if Origin::of(head.headers, own) == Origin::Foreign {
            let notice = Notice {
                reason: Reason::CrossSite,
                url: "/",
                error: None,
            };
            let audience = Audience::of(head.headers);
            return Decision::Respond(notice.respond(audience, self.failure_page.as_ref()));
        }
        let response = see_other(&self.return_to(head.query()).to_string());
        let response = with_cookie(response, self.sessions.end());
        match who.session {
            Some(session) if self.revocations.list.is_some() => {
                let flow = Arc::clone(self);
                Decision::Wait(Box::pin(async move {
                    let revocations = flow.sessions.revocation(&session, flow.now());
                    // What went wrong is in the log; the person can do nothing about it.
                    let _ = flow.revocations.revoke(revocations).await;
                    Outcome::Respond(response)
                }))
            }
            _ => Decision::Respond(response),
        }
    }
}
