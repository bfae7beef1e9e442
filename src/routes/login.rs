//! The login path: redirects the browser to QQ with a state that only this browser can return.
//!
//! With `?intent=…` the login changes an account, for example by linking QQ to it. Only a page of this
//! site can start it, and its cookie holds a digest of the account.

use super::{account::account_digest, failure::Reporter};
use crate::error::LoginError;
use crate::error::LoginErrorKind::Refused;
use crate::hooks::failure_page::Retry;
use crate::login_state::{Intent, PendingLogin};
use crate::qq::app::QqPage;
use crate::random::is_url_safe;
use crate::request::head::RequestHead;
use crate::request::origin::Origin;
use crate::request::query::{Param, Query};
use crate::request::requester::{Requester, accepts_json, is_phone};
use crate::respond::response::{LayerResponse, json, see_other, with_cookies};
use crate::session::current::CurrentSession;
use crate::site::Site;

pub(super) fn start_login(
    site: &Site,
    head: RequestHead<'_>,
    requester: Requester,
    current: &CurrentSession,
) -> LayerResponse {
    let query = Query::parse(head.query());
    let return_to = site.return_to(query.return_to.once().unwrap_or("/"));
    let intent = match read_intent(site, head, &query, current) {
        Ok(intent) => intent,
        Err(error) => {
            let page = return_to.to_location();
            return Reporter::new(head, requester).report(site, error, Retry::Page(&page));
        }
    };
    let login = PendingLogin { return_to, intent };
    let (state, cookies) = site.pending_logins.start(head.headers, login, site.now());
    let is_mobile = match site.client.app().options.page {
        QqPage::Detect => is_phone(head.headers),
        QqPage::Desktop => false,
        QqPage::Mobile => true,
    };
    let url = site.client.authorize_url(&state, is_mobile);
    site.client.warm_up();
    let response = if !requester.wants_page() && accepts_json(head.headers) {
        json(&serde_json::json!({ "authorize_url": url }))
    } else {
        see_other(&url)
    };
    with_cookies(response, cookies)
}

fn read_intent(
    site: &Site,
    head: RequestHead<'_>,
    query: &Query<'_>,
    current: &CurrentSession,
) -> Result<Option<Intent>, LoginError> {
    let refused = |detail| Err(LoginError::new(Refused, detail));
    let name = match &query.intent {
        Param::Missing => return Ok(None),
        Param::Once(name) if is_word(name) => name.to_string(),
        Param::Once(_) | Param::Invalid => return refused("the intent is not one word"),
    };
    if Origin::of(head.headers, site.origin()) != Origin::ThisSite {
        return refused("another site tried to start a login with an intent");
    }
    let account = account_digest(site, head, current)?;
    Ok(Some(Intent { name, account }))
}

fn is_word(intent: &str) -> bool {
    (1..=32).contains(&intent.len()) && is_url_safe(intent.as_bytes())
}
