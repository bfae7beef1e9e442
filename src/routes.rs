//! Routing: the layer answers three paths and forwards everything else to the app.
//!
//! 1. Paths match byte for byte.
//! 2. On the layer's paths a prefetch gets 204 and a wrong method 405: nothing starts, nothing is
//!    used up.
//! 3. The app sees the user of the session cookie or none, whatever an outer service claims.

use std::sync::Arc;

use http::Method;

use crate::paths::Route;
use crate::request::head::RequestHead;
use crate::request::requester::{Client, is_prefetch, language};
use crate::respond::response::{method_not_allowed, no_content};
use crate::session::current::{CurrentSession, SessionStatus};
use crate::site::Site;

mod account;
pub(crate) mod action;
mod callback;
mod code;
pub(crate) mod context;
mod events;
mod failure;
mod login;
mod logout;
mod user;

use self::{action::Action, context::RequestContext};

/// Decides what happens to a request.
pub(crate) fn route(site: &Arc<Site>, head: RequestHead<'_>) -> Action {
    let client = Client::of(head.method, head.headers);
    let session = match site.keeps_sessions && client.sends_cookies {
        true => site.sessions.read(head.headers, || site.now()),
        false => None,
    };
    let session = session.map(Box::new);
    let status = match &session {
        Some(session) => site.revocations.known_status(session),
        None => Some(SessionStatus::Valid),
    };
    let site = Arc::clone(site);
    let Some(route) = site.paths.find(head.uri.path()) else {
        let mut context = RequestContext::new(site, head, client);
        if status != Some(SessionStatus::Valid) {
            context = context.with_language(language(head.headers));
        }
        return match status {
            Some(status) => {
                Action::Forward(context.with_session(CurrentSession { session, status }))
            }
            None => Action::Wait(Box::pin(async move {
                let current = context.site().check(session).await;
                Action::Forward(context.with_session(current))
            })),
        };
    };
    match status {
        Some(status) => answer(
            &site,
            route,
            head,
            client,
            CurrentSession { session, status },
        ),
        None => {
            let parts = head.to_parts();
            Action::Wait(Box::pin(async move {
                let current = site.check(session).await;
                answer(&site, route, RequestHead::of_parts(&parts), client, current)
            }))
        }
    }
}

/// Answers a request to one of the layer's own paths.
fn answer(
    site: &Arc<Site>,
    route: Route,
    head: RequestHead<'_>,
    client: Client,
    current: CurrentSession,
) -> Action {
    if head.method == Method::GET && is_prefetch(head.headers) {
        return Action::Respond(no_content());
    }
    match (route, head.method) {
        (Route::Login, &Method::GET) => Action::Respond(login::start(site, head, client, &current)),
        (Route::Callback, &Method::GET) => callback::finish_login(site, head, client, current),
        (Route::Logout, &Method::POST) => logout::end_session(site, head, client, current),
        (Route::Logout, _) => Action::Respond(method_not_allowed("POST")),
        (Route::Login | Route::Callback, _) => Action::Respond(method_not_allowed("GET")),
    }
}
