//! One login in a new browser, and its outcome.

use serde_json::Value;
use tower_qq_auth::{
    QqAppBuilder,
    mock::{Endpoint, MockQq},
};

use crate::site::{Reply, SESSION, Site};

/// The number of calls to each step: token, openid and profile.
pub(crate) type Calls = [usize; 3];

#[derive(Debug)]
pub(crate) struct Attempt {
    /// The response to the callback.
    pub(crate) reply: Reply,
    /// The user who is signed in afterwards, or `null`.
    pub(crate) user: Value,
    pub(crate) calls: Calls,
}

impl Attempt {
    /// Runs a login on a site with the settings of `app`, after `prepare` has set up the mock.
    pub(crate) async fn with(
        app: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
        prepare: impl FnOnce(&MockQq),
    ) -> Self {
        let site = Site::with(app, |layer| layer);
        prepare(&site.qq);
        Self::at(&site).await
    }

    /// Runs a login on `site`.
    pub(crate) async fn at(site: &Site) -> Self {
        let before = calls(&site.qq);
        let mut browser = site.browser().program();
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(
            browser.pending_logins(),
            0,
            "the login cookie is cleared: {reply:?}"
        );
        let after = calls(&site.qq);
        Self {
            user: browser.whoami().await,
            calls: std::array::from_fn(|at| after[at] - before[at]),
            reply,
        }
    }

    /// Fails unless the login failed with this status and code, after these calls and without a
    /// session.
    #[track_caller]
    pub(crate) fn assert_failed(&self, case: &str, (status, code): (u16, &str), calls: Calls) {
        let found = self.reply.problem()["code"].clone();
        let outcome = (self.reply.status.as_u16(), found.as_str(), self.calls);
        assert_eq!(outcome, (status, Some(code), calls), "{case}");
        self.reply.assert_failed(status, code);
        assert_eq!(self.user, Value::Null, "{case}");
    }

    /// Fails unless the login succeeded after these calls. Returns the user.
    #[track_caller]
    pub(crate) fn assert_signed_in(&self, case: &str, calls: Calls) -> &Value {
        assert_eq!(
            (self.reply.status.as_u16(), self.calls),
            (303, calls),
            "{case}: {}",
            self.reply.body
        );
        assert_eq!(self.reply.location(), "/", "{case}");
        let cookies = self.reply.cookies();
        let session = cookies.iter().find(|cookie| cookie.starts_with(SESSION));
        let session = session.unwrap_or_else(|| panic!("{case}: no session in {cookies:?}"));
        assert!(session.len() <= 2048, "{case}: {} bytes", session.len());
        assert_ne!(self.user, Value::Null, "{case}");
        &self.user
    }
}

fn calls(qq: &MockQq) -> Calls {
    [Endpoint::Token, Endpoint::Me, Endpoint::UserInfo].map(|endpoint| qq.calls(endpoint))
}
