//! The logout path. It accepts only a POST, and none from another site.
//!
//! With a revocation list the session is also revoked. If that fails, the cookie is still removed
//! and the failure is logged.

use std::sync::Arc;

use super::{action::Action, failure::show_failure};
use crate::error::LoginError;
use crate::error::LoginErrorKind::CrossSite;
use crate::events::log_logout;
use crate::hooks::failure_page::Retry;
use crate::request::head::RequestHead;
use crate::request::origin::Origin;
use crate::request::query::Query;
use crate::request::requester::{Requester, preferred_language};
use crate::respond::response::{see_other, with_cookies};
use crate::session::current::CurrentSession;
use crate::site::Site;

pub(super) fn end_session(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    requester: Requester,
    current: CurrentSession,
) -> Action {
    if Origin::of(head.headers, site.origin()) == Origin::Foreign {
        let error = LoginError::new(CrossSite, "another site asked for the logout");
        let (language, retry) = (preferred_language(head.headers), Retry::Page("/"));
        return Action::Respond(show_failure(site, requester, language, &error, retry));
    }
    let query = Query::parse(head.query());
    let return_to = site.return_to(query.return_to.once().unwrap_or("/"));
    let response = see_other(&return_to.to_location());
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
