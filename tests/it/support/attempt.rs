//! One login of a new browser, and all that came of it.

use serde_json::Value;
use tower_qq_auth::{
    QqApp,
    mock::{Endpoint, MockQq},
};

use crate::site::{Reply, SESSION, Site};

/// Calls to token, `/me` and profile.
pub(crate) type Calls = [usize; 3];

#[derive(Debug)]
pub(crate) struct Attempt {
    /// The answer to the callback.
    pub(crate) reply: Reply,
    /// Who the site takes the browser for afterwards; `null` for nobody.
    pub(crate) user: Value,
    pub(crate) calls: Calls,
}

impl Attempt {
    /// A login at a QQ that is `prepare`d first, with the settings that `app` makes.
    pub(crate) async fn with(
        app: impl FnOnce(QqApp) -> QqApp,
        prepare: impl FnOnce(&MockQq),
    ) -> Self {
        let site = Site::with(app, |layer| layer);
        prepare(&site.qq);
        Self::at(&site).await
    }

    pub(crate) async fn at(site: &Site) -> Self {
        let before = calls(&site.qq);
        let mut browser = site.browser().program();
        let reply = browser.sign_in(&site.qq, "/auth/qq/login").await;
        assert_eq!(
            browser.pending_logins(),
            0,
            "the login is used up: {reply:?}"
        );
        let after = calls(&site.qq);
        Self {
            user: browser.whoami().await,
            calls: std::array::from_fn(|at| after[at] - before[at]),
            reply,
        }
    }

    /// Fails unless the login failed like this, after these calls, and left no session.
    #[track_caller]
    pub(crate) fn assert_failed(&self, case: &str, (status, code): (u16, &str), calls: Calls) {
        let told = self.reply.problem()["code"].clone();
        let seen = (self.reply.status.as_u16(), told.as_str(), self.calls);
        assert_eq!(seen, (status, Some(code), calls), "{case}");
        self.reply.assert_failed(status, code);
        assert_eq!(self.user, Value::Null, "{case}");
    }

    /// Fails unless the login succeeded after these calls. Gives the user.
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
        assert!(session.len() < 4096, "{case}: {} bytes", session.len());
        assert_ne!(self.user, Value::Null, "{case}");
        &self.user
    }
}

fn calls(qq: &MockQq) -> Calls {
    [Endpoint::Token, Endpoint::Me, Endpoint::UserInfo].map(|endpoint| qq.calls(endpoint))
}
