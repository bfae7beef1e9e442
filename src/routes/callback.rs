//! The path of the redirect URI: QQ sends the browser back with a code.
//!
//! 1. The state is checked first. If it belongs to no login of this browser, no other parameter is
//!    read and QQ is not called.
//! 2. An error parameter, or a code of six digits or fewer, is an error reported by QQ. Its number
//!    decides the kind of the error.
//! 3. A login with an intent succeeds only for the account that started it.
//! 4. The first callback of a state runs the login. Others with the same code join it, for 10
//!    seconds after its end as well, and get the same session.
//! 5. Every outcome uses up the login, unless its code never left this process.
//! 6. A stale callback (reload, Back, a second tab) redirects a signed-in user to `/` instead of
//!    showing an error, unless the login has an intent or runs in a popup, whose opener waits for
//!    the outcome. It starts no session.

use std::sync::Arc;

use tracing::{Instrument, Span};

use super::{
    account::has_account, action::Action, code::read_code, failure::Reporter, run::LoginRun,
    user::parts_for_hook,
};
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::InvalidState;
use crate::error::place::StateCause;
use crate::hooks::failure_page::Retry;
use crate::login_state::pending::PendingLogin;
use crate::login_state::{OpenedLogin, UnknownState};
use crate::logins::Entry;
use crate::request::head::RequestHead;
use crate::request::query::{Param, Query};
use crate::request::requester::Requester;
use crate::respond::response::{LayerResponse, see_other};
use crate::session::current::CurrentSession;
use crate::site::Site;

mod reply;

use self::reply::Callback;

pub(super) fn finish_login(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    requester: Requester,
    current: CurrentSession,
) -> Action {
    let query = Query::parse(head.query());
    let reporter = Reporter::new(head, requester);
    let opened = match &query.state {
        Param::Missing => Err(StateCause::NoState.into()),
        Param::Invalid => Err(StateCause::Forged.into()),
        Param::Once(state) => {
            let resolve = |return_to: &str| site.return_to(return_to);
            site.pending_logins
                .open(head.headers, state, site.now(), resolve)
        }
    };
    let is_signed_in = current.valid().is_some() || has_account(site, head, &current);
    let OpenedLogin {
        login,
        removal,
        key,
    } = match opened {
        Ok(opened) => opened,
        Err(unknown) if is_signed_in && !unknown.is_popup() => {
            return Action::Respond(see_other(&site.paths.home()));
        }
        Err(unknown) => return Action::Respond(reject(site, &reporter, head, unknown)),
    };
    let mut callback = Callback {
        site: Arc::clone(site),
        reporter,
        is_signed_in,
        login,
        removal: Some(removal),
    };
    let code = callback
        .check_account(head, &current)
        .and_then(|()| read_code(&query));
    let code = match code {
        Ok(code) => code.to_owned(),
        Err(error) => return Action::Respond(callback.fail(error)),
    };
    match site.logins.enter(key, &code) {
        Entry::Run(running, outcome) => {
            let run = LoginRun {
                site: Arc::clone(site),
                code,
                login: callback.login.clone(),
                head: site
                    .on_login
                    .as_ref()
                    .map(|_| parts_for_hook(site, head, &current)),
                replaced: current.unrevoked().cloned(),
                arrived_at: reporter.arrived_at,
            };
            let run = run.run().instrument(Span::current());
            tokio::spawn(async move {
                // Boxed, so that its memory is free while the outcome is kept.
                let outcome = Box::pin(run).await;
                running.finish(outcome).await;
            });
            Action::Wait(Box::pin(callback.deliver(outcome)))
        }
        Entry::Join(outcome) => Action::Wait(Box::pin(callback.join(outcome))),
        Entry::OtherCode => {
            // The login goes on, so its cookie stays.
            callback.removal = None;
            Action::Respond(callback.fail(LoginError::used()))
        }
        Entry::Used => Action::Respond(callback.fail(LoginError::used())),
        Entry::Crowded => Action::Respond(callback.fail(LoginError::overloaded(
            "too many requests wait for this login",
        ))),
        Entry::Overloaded => {
            Action::Respond(callback.fail(LoginError::overloaded("too many logins are under way")))
        }
    }
}

/// Answers a callback whose state belongs to no login of this browser.
fn reject(
    site: &Site,
    reporter: &Reporter,
    head: RequestHead<'_>,
    unknown: UnknownState,
) -> LayerResponse {
    let detail = match unknown.cause {
        StateCause::NoState => "QQ sent no state",
        StateCause::Expired => "the login has expired",
        _ => "the state belongs to no login of this browser",
    };
    let error = LoginError::new(InvalidState, detail).with_cause(unknown.cause);
    let host = head.foreign_host(site.origins.site());
    let login = unknown.login;
    let login = login.unwrap_or_else(|| PendingLogin::to(site.home()));
    let url = site.login_url(&login);
    reporter.report(site, host.as_deref(), error, &login, Retry::Login(&url))
}
