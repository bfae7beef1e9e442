//! A mock of the QQ Connect server for tests, demos and local development.
//!
//! [`MockQq`] implements the server side of the protocol and shares no code with the client of this
//! crate. Use it
//!
//! 1. as a [`tower_service::Service`] that the client calls in place of QQ, without a network:
//!    [`QqClient::with_service`](crate::QqClient::with_service);
//! 2. as a separate server: [`MockQq::serve`];
//! 3. mounted in the app itself: `Router::new().nest_service("/qq", qq)`.
//!
//! In a browser, the authorize page offers a few made-up users and a cancel link. In a test,
//! [`approve`](MockQq::approve) completes the page. By default, the mock replies as QQ does today.
//! [Shapes](MockQq::shape), [number formats](MockQq::numbers) and [faults](MockQq::fault) can be
//! changed at any time, and [`advance`](MockQq::advance) moves the clock. The
//! [journal](MockQq::journal) records every request.
//!
//! ```text
//!  /oauth2.0/authorize ─► user chosen ─► code (10 minutes, single use)
//!  /oauth2.0/token     ─► code, app id, key, redirect_uri checked ─► access and refresh token
//!  /oauth2.0/me        ─► access token checked ─► openid, client_id, unionid
//!  /user/get_user_info ─► access token, app id, openid checked ─► profile
//! ```
//!
//! Paths are matched by their end, so the mock works below any prefix. Never expose it to the
//! public: it signs in every visitor.
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
