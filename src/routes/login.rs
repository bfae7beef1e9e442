//! The login path: sends the browser to QQ with a state that only this browser can bring back.
//!
//! With `?intent=…` the login changes an account, such as to bind QQ to it. Only the own site can
//! start it, and it remembers the account.

use super::{account::account_digest, failure::Reporter};
use crate::error::LoginError;
use crate::error::LoginErrorKind::Refused;
use crate::hooks::failure_page::Retry;
use crate::login_state::{Intent, LoginState};
use crate::qq::app::QqPage;
use crate::request::head::RequestHead;
use crate::request::origin::Origin;
use crate::request::query::{Param, Query};
use crate::request::requester::{Client, accepts_json, is_phone};
use crate::respond::response::{OwnResponse, json, see_other, with_cookie};
use crate::session::current::CurrentSession;
use crate::site::Site;

pub(super) fn start(
    site: &Site,
    head: RequestHead<'_>,
    client: Client,
    current: &CurrentSession,
) -> OwnResponse {
    let query = Query::parse(head.query());
    let return_to = site.requested_return_to(&query);
    let intent = match intent(site, head, &query, current) {
        Ok(intent) => intent,
        Err(error) => {
            let page = return_to.to_string();
            return Reporter::new(head, client).report(site, error, Retry::Page(&page));
        }
    };
    let state = LoginState { return_to, intent };
    let (state, cookies) = site.login_states.start(head.headers, state, site.now());
    let is_mobile = match site.client.app().page {
        QqPage::Detect => is_phone(head.headers),
        QqPage::Desktop => false,
        QqPage::Mobile => true,
    };
    let url = site.client.authorize_url(&state, is_mobile);
    site.client.warm_up();
    let response = if !client.requester.wants_page() && accepts_json(head.headers) {
        json(&serde_json::json!({ "authorize_url": url }))
    } else {
        see_other(&url)
    };
    cookies.into_iter().fold(response, with_cookie)
}

fn intent(
    site: &Site,
    head: RequestHead<'_>,
    query: &Query<'_>,
    current: &CurrentSession,
) -> Result<Option<Intent>, LoginError> {
    let refused = |detail| Err(LoginError::new(Refused, detail));
    let name = match query.get("intent") {
        Param::Missing => return Ok(None),
        Param::Once(name) if is_word(name) => name.to_string(),
        Param::Once(_) | Param::Invalid => return refused("the intent is not one word"),
    };
    if Origin::of(head.headers, site.origin()) != Origin::Own {
        return refused("another site tried to start a login with an intent");
    }
    let account = account_digest(site, head, current)?;
    Ok(Some(Intent { name, account }))
}

fn is_word(intent: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=32).contains(&intent.len()) && intent.bytes().all(is_allowed)
}
