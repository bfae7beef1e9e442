//! The login path: off to QQ, with a state that only this browser can bring back.
//!
//! With `?intent=…` the login is to do something to an account, such as to bind QQ to it. It can be started from the
//! own site only, and remembers whose account it was.

use aws_lc_rs::digest::{SHA256, digest};
use http::request;

use super::{
    Flow, Head, Who,
    audience::{Audience, is_phone, wants_json},
    events::LoginTimer,
    origin::Origin,
    page::{OwnResponse, ok_json, see_other, with_cookie},
    pending::Purpose,
    query::Param,
    visit::forget,
};
use crate::{
    LoginError,
    LoginErrorKind::{Misconfigured, Refused},
    QqUser,
    qq::Display,
    session::revocation::Standing,
};

impl Flow {
    pub(super) fn login(&self, head: Head<'_>, who: &Who) -> OwnResponse {
        let return_to = self.return_to(head.query());
        let intent = match self.intent(head, who) {
            Ok(intent) => intent,
            Err(error) => {
                let audience = Audience::of(head.headers);
                let timer = LoginTimer::start();
                return self.failed(error, &return_to.to_string(), audience, &timer);
            }
        };
        let purpose = Purpose { return_to, intent };
        let (state, cookies) = self.pending.start(head.headers, purpose, self.now());
        let mobile = match self.client.app().display {
            Display::Auto => is_phone(head.headers),
            Display::Desktop => false,
            Display::Mobile => true,
        };
        let url = self.client.authorize_url(&state, mobile);
        self.client.warm_up();
        let response = if wants_json(head.headers) {
            ok_json(&serde_json::json!({ "authorize_url": url }))
        } else {
            see_other(&url)
        };
        cookies.into_iter().fold(response, with_cookie)
    }

    fn intent(&self, head: Head<'_>, who: &Who) -> Result<Option<(String, [u8; 32])>, LoginError> {
        let refused = |detail| Err(LoginError::new(Refused, detail));
        let intent = match Param::of(head.query(), "intent") {
            Param::Missing => return Ok(None),
            Param::Once(intent) if is_word(&intent) => intent,
            Param::Once(_) | Param::Odd => return refused("the intent is not one word"),
        };
        if Origin::of(head.headers, self.client.app().redirect_uri.origin()) != Origin::Own {
            return refused("a login with an intent can be started from the own site only");
        }
        Ok(Some((intent, self.account(head, who)?)))
    }

    /// A digest of whose account a request belongs to.
    pub(super) fn account(&self, head: Head<'_>, who: &Who) -> Result<[u8; 32], LoginError> {
        if who.standing == Standing::Unverified {
            let detail = "the session cannot be checked at the moment, so nobody can say whose account it is";
            return Err(LoginError::new(Refused, detail));
        }
        let parts = introduced(head, who);
        let account = match &self.account_of {
            Some(account_of) => account_of.ask(&parts).map_err(|error| {
                tracing::error!("the account_of hook failed: {error}");
                LoginError::new(Refused, "the app's account_of hook failed")
            })?,
            None if !self.keeps_sessions => {
                let detail = "nobody can say whose account it is: set `QqAuthLayer::account_of`";
                return Err(LoginError::new(Misconfigured, detail));
            }
            None => {
                let user = parts.extensions.get::<QqUser>();
                user.map(|user| user.openid().to_string())
            }
        };
        let marked = account.map_or_else(String::new, |account| format!("account {account}"));
        let digest = digest(&SHA256, marked.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Ok(bytes)
    }
}

/// What a hook sees of a request: who is signed in is in the extensions.
pub(super) fn introduced(head: Head<'_>, who: &Who) -> request::Parts {
    let mut parts = head.to_parts();
    forget(&mut parts.extensions);
    if let Some(session) = who.signed_in() {
        parts.extensions.insert(session.user.clone());
    }
    parts
}

fn is_word(intent: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=32).contains(&intent.len()) && intent.bytes().all(allowed)
}
