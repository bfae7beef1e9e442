//! The logout path. It accepts only a POST, and only from a page of the site or of a trusted
//! origin, or from a program.
//!
//! With a revocation list the session is also revoked. If that fails, the cookie is still removed
//! and the failure is logged.

use std::sync::Arc;

use super::{action::Action, failure::show_failure};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::CrossSite;
use crate::events::{log_foreign, log_logout};
use crate::hooks::failure_page::Retry;
use crate::request::head::RequestHead;
use crate::request::initiator::Initiator;
use crate::request::query::Query;
use crate::request::requester::{Requester, RequesterKind, preferred_language};
use crate::respond::response::{htmx_redirect, no_content, see_other, with_cookies};
use crate::session::current::CurrentSession;
use crate::site::Site;

pub(super) fn end_session(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    requester: Requester,
    current: CurrentSession,
) -> Action {
    if !requester.initiator.may_sign_out() {
        // A trusted origin of another site has a line of its own.
        if requester.initiator != Initiator::TrustedElsewhere {
            log_foreign(head.headers, &site.log_limit);
        }
        let error = LoginError::new(CrossSite, "another site asked for the logout");
        let (language, home) = (preferred_language(head.headers), site.paths.home());
        let retry = Retry::Page(&home);
        return Action::Respond(show_failure(site, requester, language, &error, retry));
    }
    let query = Query::parse(head.query());
    let return_to = site.return_to(query.return_to.once().unwrap_or("/"));
    let location = return_to.to_location();
    let response = match requester.kind {
        RequesterKind::Htmx => htmx_redirect(&site.url_for(requester.initiator, &location)),
        RequesterKind::Program => no_content(),
        RequesterKind::Page | RequesterKind::Frame | RequesterKind::Form => see_other(&location),
    };
    let response = with_cookies(response, [site.sessions.remove()]);
    let Some(session) = current.unrevoked().cloned() else {
        return Action::Respond(response);
    };
    log_logout(&site.log_limit);
    let ended = site.spawn_end(session);
    Action::Wait(Box::pin(async move {
        // A panic of the app's list goes to the panic hook; the cookie is removed all the same.
        let _ = ended.await;
        Action::Respond(response)
    }))
}
