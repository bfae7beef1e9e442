//! The login path: redirects the browser to QQ with a state that only this browser can return.
//!
//! 1. Only a navigation, a program, or a script of this site or of a trusted origin starts a login.
//!    An image, a frame or a script of another site starts none. Without Fetch Metadata (old
//!    browsers, plain http) the login cookies, eight small ones at most, are the limit.
//! 2. With `?intent=…` the login changes an account, for example by linking QQ to it. Only a page
//!    of this site or a script of a trusted origin can start it, and only for an account, of which
//!    its cookie holds a digest.
//! 3. With `?remember=0`, for shared computers, the session ends with the browser, after 2 hours
//!    without a visit, and after 12 hours in all.
//! 4. With `?popup=1` the login ends in a popup, which tells its outcome: see `routes::popup`.

use std::sync::Arc;

use http::header;

use super::{
    account::account_digest,
    failure::{Reporter, show_failure},
};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::{CrossSite, LoginRequired, NotANavigation, Refused};
use crate::events::{log_foreign, log_start_elsewhere};
use crate::hooks::failure_page::Retry;
use crate::login_state::pending::{Intent, PendingLogin};
use crate::meter;
use crate::qq::app::QqPage;
use crate::request::head::RequestHead;
use crate::request::initiator::Initiator;
use crate::request::query::{Param, Query};
use crate::request::requester::{Purpose, Requester, RequesterKind, accepts_json, is_phone};
use crate::respond::response::{LayerResponse, htmx_redirect, json, redirect_to_qq, with_cookies};
use crate::session::current::CurrentSession;
use crate::site::Site;

pub(super) fn start_login(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    requester: Requester,
    current: &CurrentSession,
) -> LayerResponse {
    let reporter = Reporter::new(head, requester);
    let query = Query::parse(head.query());
    let mut login = read_login(site, &query, current);
    let intent = read_intent(site, head, requester, &query, current);
    match intent.and_then(|intent| check_start(requester, head).map(|()| intent)) {
        Ok(intent) => login.intent = intent,
        Err(error) => {
            // A trusted origin of another site has a line of its own.
            if error.kind() == CrossSite && requester.initiator != Initiator::TrustedElsewhere {
                log_foreign(head.headers, &site.log_limit);
            }
            // A button of this page would make a stranger's link one of the site's own.
            let page = match requester.initiator.is_foreign() {
                true => site.paths.home(),
                false => login.return_to.to_location(),
            };
            let url = site.login_url(&login);
            let retry = match error.kind() {
                LoginRequired | NotANavigation => Retry::Login(&url),
                _ => Retry::Page(&page),
            };
            // The usual page of a frame, a link that opens at the top, is not logged as a failure.
            if error.kind() == LoginRequired && requester.kind == RequesterKind::Frame {
                return show_failure(site, requester, reporter.language, &error, retry);
            }
            return reporter.report(site, None, error, &login, retry);
        }
    }
    let now = site.now();
    let (state, cookie) = site.pending_logins.start(head.headers, &login, now);
    let is_mobile = match site.client.app().options.page {
        QqPage::Detect => is_phone(head.headers),
        QqPage::Desktop => false,
        QqPage::Mobile => true,
    };
    let url = site.client.authorize_url(&state, is_mobile);
    site.client.warm_up();
    meter::login_started();
    if let Some(host) = head.foreign_host(site.origins.site()) {
        log_start_elsewhere(&host, &site.log_limit);
    }
    let response = if requester.kind == RequesterKind::Htmx {
        htmx_redirect(&url)
    } else if is_json_start(requester, head) {
        json(&serde_json::json!({ "authorize_url": url }))
    } else {
        redirect_to_qq(&url)
    };
    with_cookies(response, [cookie])
}

/// Reads the login that the query asks for, without its intent.
fn read_login(site: &Site, query: &Query<'_>, current: &CurrentSession) -> PendingLogin {
    let is_remembered = match &query.remember {
        Param::Missing if query.intent.is_missing() => true,
        // A login that changes the account of a session keeps its choice.
        Param::Missing => current
            .valid()
            .is_none_or(|session| session.is_remembered()),
        // An odd value counts as 0, the choice that loses less.
        remember => remember.once() == Some("1"),
    };
    PendingLogin {
        return_to: site.return_to(query.return_to.once().unwrap_or("/")),
        intent: None,
        is_remembered,
        // The app's own handler ends a forwarded login.
        is_popup: query.popup.once() == Some("1") && !site.forwards_callback,
    }
}

fn is_json_start(requester: Requester, head: RequestHead<'_>) -> bool {
    !requester.wants_page() && accepts_json(head.headers)
}

/// Fails unless the request is a navigation of the top, a program, or a script of this site or of a
/// trusted origin.
fn check_start(requester: Requester, head: RequestHead<'_>) -> Result<(), LoginError> {
    let error = |kind, detail| Err(LoginError::new(kind, detail));
    let navigates = match requester.purpose {
        Purpose::Navigate => true,
        Purpose::Unknown => requester.wants_page() && !head.headers.contains_key(header::ORIGIN),
        Purpose::Fetch | Purpose::Prefetch => false,
        Purpose::Subresource => {
            return error(NotANavigation, "a part of a page asked for a login");
        }
    };
    if requester.kind == RequesterKind::Frame {
        return error(LoginRequired, "QQ's page does not open in a frame");
    }
    if !navigates && !requester.initiator.may_start_by_script() {
        return error(CrossSite, "a script of another site asked for a login");
    }
    Ok(())
}

fn read_intent(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    requester: Requester,
    query: &Query<'_>,
    current: &CurrentSession,
) -> Result<Option<Intent>, LoginError> {
    let refused = |detail| Err(LoginError::new(Refused, detail));
    let name = match &query.intent {
        Param::Missing => return Ok(None),
        Param::Once(name) if Intent::is_name(name) => name.to_string(),
        Param::Once(_) | Param::Invalid => return refused("the intent is not one word"),
    };
    let is_json = is_json_start(requester, head);
    if !requester.initiator.may_start_intent(is_json) {
        return refused(
            "a login with an intent starts only from a page of this site, or as JSON from a script \
             of a trusted origin",
        );
    }
    let Some(account) = account_digest(site, head, current)? else {
        let detail = "a login with an intent needs an account: if the user has one, check \
            `account_of`, and add the app's session layer after this one, so that it is outside";
        return Err(LoginError::new(LoginRequired, detail));
    };
    Ok(Some(Intent { name, account }))
}
