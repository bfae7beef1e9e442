//! A mock of the QQ Connect server for tests, demos and local development.
//!
//! [`MockQq`] implements the server side of the protocol and shares no code with the client of this
//! crate. Use it
//!
//! 1. as a [`tower_service::Service`] that the client calls in place of QQ, without a network:
//!    [`QqClient::with_service`](crate::QqClient::with_service);
//! 2. as a separate server: [`MockQq::serve`], with `QQ_BASE_URL` set to its address;
//! 3. mounted in the app itself: `Router::new().nest_service("/qq", qq)`.
//!
//! In a browser, the authorize page offers a few made-up [users](#users) and a cancel link. In a
//! test, [`approve`](MockQq::approve) completes the page. By default, the mock replies as QQ does
//! today. [Shapes](MockQq::shape), [number formats](MockQq::numbers) and [faults](MockQq::fault)
//! can be changed at any time, and [`advance`](MockQq::advance) moves the clock. The
//! [journal](MockQq::journal) records the requests.
//!
//! ```text
//!  /oauth2.0/authorize ─► user chosen ─► code (10 minutes, single use)
//!  /oauth2.0/token     ─► code, app id, key, redirect_uri checked ─► access and refresh token
//!  /oauth2.0/me        ─► access token checked ─► openid, client_id, unionid
//!  /user/get_user_info ─► access token, app id, openid checked ─► profile
//! ```
//!
//! [`sdk_token`](MockQq::sdk_token) plays QQ's SDK in a phone app.
//!
//! Paths are matched by their end, so the mock works below any prefix. Never expose it to the
//! public: it signs in every visitor.
//!
//! `cargo run --example mock_qq` in a checkout of this crate starts the mock on 127.0.0.1 and
//! prints the settings that a site needs.
//!
//! # Users
//!
//! A new mock has three ordinary users, and one for each way in which a login can go wrong. On the
//! page, and in the order of [`people`](MockQq::people), they come last:
//!
//! | user | QQ's reply to the site |
//! |---|---|
//! | `QQ 正忙 · Busy` | `/token`: error 100032 |
//! | `应用未通过审核 · Not approved` | `/token`: error 110406 |
//! | `没有资料 · No profile` | `/user/get_user_info`: error 100030 |
//! | `QQ 很慢 · Slow` | `/token`: after 30 seconds |
//!
//! Profiles have QQ's format of 2024. Their pictures are at QQ's host, as on QQ, but do not exist:
//! a page should look right without them.
//!
//! # Limits
//!
//! The mock keeps the last 4,096 calls, codes, access tokens, refresh tokens and users each. An
//! older code or token is unknown to it.
//!
//! # Differences from QQ
//!
//! - The redirect URI may have a port, and `localhost` or an IP address as its host. Its length is
//!   not limited.
//! - The authorize endpoint shows the users itself, while QQ redirects to `/oauth2.0/show`. An
//!   invalid request leads to that page on both.
//! - Any app id counts as a phone app, and all apps belong to one developer.
//! - A login asks for no permission. Names in `scope` are not checked until an API is called.
//! - The state may have letters, digits, `-` and `_` only, as QQ's Android app demands.
//! - The app is never offline, and no rate limit applies.
//! - Only GET is accepted, and [`serve`](MockQq::serve) speaks plain HTTP/1.
//! - QQ documents no order of checks, and the texts of some rare errors are guesses.
//!
//! # Examples
//!
//! ```
//! use http::Request;
//! use http_body_util::BodyExt;
//! use tower::ServiceExt;
//! use tower_qq_auth::mock::MockQq;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let qq = MockQq::new("101905280", "app-key", "https://site.example/auth/qq/callback");
//!
//! let callback = qq.approve(
//!     "https://graph.qq.com/oauth2.0/authorize?response_type=code&client_id=101905280&state=abc\
//!      &redirect_uri=https%3A%2F%2Fsite.example%2Fauth%2Fqq%2Fcallback",
//! )?;
//! let (before, _) = callback.split_once("&state=abc").unwrap();
//! let (_, code) = before.split_once("?code=").unwrap();
//!
//! let request = Request::get(format!(
//!     "/oauth2.0/token?grant_type=authorization_code&client_id=101905280&client_secret=app-key\
//!      &redirect_uri=https%3A%2F%2Fsite.example%2Fauth%2Fqq%2Fcallback&code={code}&fmt=json"
//! ));
//! let response = qq.clone().oneshot(request.body(())?).await?;
//! let body = response.into_body().collect().await?.to_bytes();
//! assert!(body.starts_with(br#"{"access_token":""#));
//! # Ok(())
//! # }
//! ```

mod authorize;
mod body;
mod configure;
mod dispatch;
mod fault;
mod journal;
mod oauth;
mod page;
mod people;
mod qq;
mod recent;
mod refused;
mod serve;
mod settings;
mod state;
mod store;
mod wire;

pub use self::{
    body::{CutOff, MockBody},
    fault::Fault,
    journal::{Call, Endpoint},
    people::Person,
    qq::MockQq,
    refused::Refused,
    wire::{Numbers, Shape},
};
