//! Routing: the layer answers three paths and forwards everything else to the app.
//!
//! 1. Paths match byte for byte.
//! 2. On the layer's paths a prefetch gets 403 and a wrong method 405; neither starts or uses up a
//!    login.
//! 3. A request carries the user and the session of its cookie, or none; those that an outer
//!    service inserted are removed.

use std::sync::Arc;

use http::Method;
use http::uri::PathAndQuery;

use crate::error::LoginError;
use crate::events::{log_origin_elsewhere, log_unreadable_session, log_unstripped_prefix};
use crate::hooks::failure_page::Retry;
use crate::paths::Route;
use crate::percent::header_safe;
use crate::request::head::RequestHead;
use crate::request::initiator::Initiator;
use crate::request::requester::{Purpose, Requester, preferred_language};
use crate::respond::{logout_page, method_not_allowed};
use crate::session::Session;
use crate::session::current::CurrentSession;
use crate::site::Site;

mod account;
pub(crate) mod action;
mod callback;
mod code;
pub(crate) mod context;
mod failure;
pub(crate) mod finish;
mod login;
mod logout;
mod popup;
mod require_login;
mod run;
mod user;

use self::{action::Action, context::RequestContext, failure::show_failure};

/// Decides what happens to a request. `has_layer_cookies` is `false` if it has no cookie of the
/// layer.
pub(crate) fn route(site: &Arc<Site>, head: RequestHead<'_>, has_layer_cookies: bool) -> Action {
    let requester = Requester::of(head.method, head.headers, &site.origins);
    if requester.initiator == Initiator::TrustedElsewhere {
        log_origin_elsewhere(head.headers, &site.log_limit);
    }
    let current = match has_layer_cookies {
        true => read_session(site, head),
        false => Ok(CurrentSession::NONE),
    };
    let site = Arc::clone(site);
    let Some(route) = site.paths.find(head.uri.path()) else {
        if site.paths.has_unstripped_prefix(head.uri.path()) {
            log_unstripped_prefix(&site.log_limit);
        }
        return match current {
            Ok(current) => {
                Action::Forward(RequestContext::new(site, head, requester, Some(current)))
            }
            Err(session) => {
                let context = RequestContext::new(site, head, requester, None);
                Action::Wait(Box::pin(async move {
                    let current = context.site().check(session).await;
                    Action::Forward(context.with_session(current))
                }))
            }
        };
    };
    match current {
        Ok(current) => answer(&site, route, head, requester, current),
        Err(session) => {
            let parts = head.to_parts();
            Action::Wait(Box::pin(async move {
                let current = site.check(session).await;
                answer(
                    &site,
                    route,
                    RequestHead::of_parts(&parts),
                    requester,
                    current,
                )
            }))
        }
    }
}

/// Reads the session of a request. The error is a session that the revocation list has to confirm.
fn read_session(site: &Site, head: RequestHead<'_>) -> Result<CurrentSession, Arc<Session>> {
    if !site.keeps_sessions {
        return Ok(CurrentSession::NONE);
    }
    let log_unreadable = || log_unreadable_session(&site.log_limit);
    let session = site
        .sessions
        .read(head.headers, || site.now(), log_unreadable);
    let Some(session) = session else {
        return Ok(CurrentSession::NONE);
    };
    let session = Arc::new(session);
    match site.revocations.known_status(&session) {
        Some(status) => Ok(CurrentSession::new(session, status)),
        None => Err(session),
    }
}

/// Answers a request to one of the layer's own paths.
fn answer(
    site: &Arc<Site>,
    route: Route,
    head: RequestHead<'_>,
    requester: Requester,
    current: CurrentSession,
) -> Action {
    // Only a few answers need it here: login, callback and logout read it themselves.
    let language = || preferred_language(head.headers);
    let page = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let page = site.paths.add_prefix(page);
    if head.method == Method::GET && requester.purpose == Purpose::Prefetch {
        let error = LoginError::prefetch();
        let page = header_safe(&page).to_string();
        let retry = Retry::Page(&page);
        return Action::Respond(show_failure(site, requester, language(), &error, retry));
    }
    match (route, head.method) {
        (Route::Login, &Method::GET) => {
            Action::Respond(login::start_login(site, head, requester, &current))
        }
        (Route::Callback, &Method::GET) => callback::finish_login(site, head, requester, current),
        (Route::Logout, &Method::POST) => logout::end_session(site, head, requester, current),
        (Route::Logout, &Method::GET | &Method::HEAD) if requester.wants_page() => {
            Action::Respond(logout_page(&page, &site.paths.home(), language()))
        }
        (route, _) => {
            let allow = match route {
                Route::Logout => "POST",
                Route::Login | Route::Callback => "GET",
            };
            let home = site.paths.home();
            Action::Respond(method_not_allowed(allow, requester, &home, language()))
        }
    }
}
