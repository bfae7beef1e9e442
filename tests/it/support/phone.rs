//! A site with a route for its phone apps, and the phones.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_qq_auth::{
    LoginError, QqAppBuilder, QqAuthLayer, QqAuthLayerBuilder, QqClient, QqSession, QqUser,
    mock::Endpoint,
};

use crate::{
    shown,
    site::{Browser, Clock, Reply, SESSION, Site, app_builder, keys, pages, qq},
};

/// The phone app of the site.
pub(crate) const PHONE_APP: &str = "1106123456";
/// A phone app of another developer.
pub(crate) const STRANGER: &str = "1109999999";
/// The route at which phones log in.
pub(crate) const LOG_IN: &str = "/api/login";

#[derive(Deserialize)]
struct PhoneLogin {
    access_token: String,
}

async fn log_in(
    State(qq): State<QqAuthLayer>,
    Json(phone): Json<PhoneLogin>,
) -> Result<(QqSession, Json<QqUser>), LoginError> {
    let login = qq.client().verify(&phone.access_token).await?;
    let session = qq.begin(login).await?;
    let user = session.user().clone();
    Ok((session, Json(user)))
}

/// A site that accepts tokens of [`PHONE_APP`].
pub(crate) fn site() -> Site {
    site_with(|app| app, |layer| layer).0
}

pub(crate) fn site_with(
    app: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
    layer: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
) -> (Site, QqAuthLayer) {
    site_with_pages(app, layer, Router::new())
}

/// A site with the usual pages and `more`.
pub(crate) fn site_with_pages(
    app: impl FnOnce(QqAppBuilder) -> QqAppBuilder,
    layer: impl FnOnce(QqAuthLayerBuilder) -> QqAuthLayerBuilder,
    more: Router,
) -> (Site, QqAuthLayer) {
    let (qq, clock) = (qq(), Clock::new());
    let app = app(app_builder().accept_tokens_of([PHONE_APP]));
    let client = QqClient::with_service(app.build().unwrap(), qq.clone());
    let time = clock.clone();
    let builder = QqAuthLayer::builder(client, keys()).clock(move || time.now());
    let layer = layer(builder).build().unwrap();
    let api = Router::new()
        .route(LOG_IN, post(log_in))
        .layer(DefaultBodyLimit::max(4096))
        .with_state(layer.clone());
    let pages = pages().merge(shown::page()).merge(api).merge(more);
    let router = pages.layer(layer.clone());
    (Site { qq, router, clock }, layer)
}

/// Returns the token that QQ's SDK hands to this app for a user of the mock.
pub(crate) fn token(site: &Site, app_id: &str, person: usize) -> String {
    let openid = &site.qq.people()[person].openid;
    site.qq.sdk_token(app_id, openid).unwrap()
}

/// Sends the token to the site.
pub(crate) async fn log_in_with(phone: &mut Browser, token: &str) -> Reply {
    let body = json!({ "access_token": token }).to_string();
    phone.post_json(LOG_IN, body).await
}

/// A phone on which this user of the mock is signed in.
pub(crate) async fn signed_in(site: &Site, person: usize) -> Browser {
    let mut phone = site.browser().program();
    let reply = log_in_with(&mut phone, &token(site, PHONE_APP, person)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    phone
}

/// One login with a token on a new phone, and its outcome.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) reply: Reply,
    /// The user who is signed in afterwards, or `null`.
    pub(crate) user: Value,
    /// The number of calls for the openid and the profile.
    pub(crate) calls: [usize; 2],
}

impl Attempt {
    pub(crate) async fn at(site: &Site, token: &str) -> Self {
        let count = || [Endpoint::Me, Endpoint::UserInfo].map(|step| site.qq.calls(step));
        let before = count();
        let mut phone = site.browser().program();
        let reply = log_in_with(&mut phone, token).await;
        let after = count();
        Self {
            reply,
            user: phone.whoami().await,
            calls: std::array::from_fn(|at| after[at] - before[at]),
        }
    }

    /// Fails unless the login failed with this status and code, after these calls and without a
    /// session.
    #[track_caller]
    pub(crate) fn assert_failed(&self, case: &str, status: u16, code: &str, calls: [usize; 2]) {
        let found = self.reply.problem()["code"].clone();
        let outcome = (self.reply.status.as_u16(), found.as_str(), self.calls);
        assert_eq!(outcome, (status, Some(code), calls), "{case}");
        self.reply.assert_failed(status, code);
        assert_eq!(self.reply.header("cache-control"), "no-store", "{case}");
        assert!(self.reply.problem()["support_code"].is_string(), "{case}");
        assert_eq!(self.user, Value::Null, "{case}");
    }

    /// Fails unless the login succeeded after these calls. Returns the user.
    #[track_caller]
    pub(crate) fn assert_signed_in(&self, case: &str, calls: [usize; 2]) -> &Value {
        let outcome = (self.reply.status.as_u16(), self.calls);
        assert_eq!(outcome, (200, calls), "{case}: {}", self.reply.body);
        let cookies = self.reply.cookies();
        let [cookie] = cookies[..] else {
            panic!("{case}: {cookies:?}")
        };
        assert!(cookie.starts_with(SESSION), "{case}: {cookie}");
        let shown: Value = serde_json::from_str(&self.reply.body).unwrap();
        assert_eq!(shown, self.user, "{case}");
        &self.user
    }
}
