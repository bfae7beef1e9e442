//! The logout path. It changes something, so it takes a POST, and only from the own site.
//!
//! With a revocation list the session is revoked, not just deleted from this browser. If that fails,
//! the cookie is deleted all the same and the failure is in the log.

use std::sync::Arc;

use super::{action::Action, failure::Reporter};
use crate::error::LoginError;
use crate::error::LoginErrorKind::CrossSite;
use crate::hooks::failure_page::Retry;
use crate::request::head::RequestHead;
use crate::request::origin::Origin;
use crate::request::query::Query;
use crate::request::requester::Client;
use crate::respond::response::{see_other, with_cookie};
use crate::session::current::CurrentSession;
use crate::site::Site;

pub(super) fn end_session(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    client: Client,
    current: CurrentSession,
) -> Action {
    if Origin::of(head.headers, site.origin()) == Origin::Foreign {
        let error = LoginError::new(CrossSite, "another site asked for the logout");
        let reporter = Reporter::new(head, client);
        return Action::Respond(reporter.show(site, &error, Retry::Page("/")));
    }
    let return_to = site.requested_return_to(&Query::parse(head.query()));
    let response = see_other(&return_to.to_string());
    let response = with_cookie(response, site.sessions.remove());
    match current.session {
        Some(session) if site.revocations.has_list() => {
            let site = Arc::clone(site);
            Action::Wait(Box::pin(async move {
                site.revoke(&session).await;
                Action::Respond(response)
            }))
        }
        _ => Action::Respond(response),
    }
}
