//! QQ's protocol: authorize, token, openid, profile. It knows neither cookies nor the site's
//! requests.
//!
//! 1. The browser goes to [`QqClient::authorize_url`](crate::QqClient::authorize_url) and comes
//!    back with a code.
//! 2. The client exchanges the code for a token, once, because a code works only once.
//! 3. If that reply has no openid, or the app requests the UnionID, the client asks `/me`, whose
//!    reply must name this app.
//! 4. The client asks for the profile. A login succeeds without it, unless the app requires it.
//! 5. A reply counts only if its status is 200 and its body has at most 64 KiB and reports no
//!    error.
//! 6. After a transient failure `/me` and the profile are retried once, the token never.

pub(crate) mod app;
pub(crate) mod app_builder;
pub(crate) mod client;
pub mod codes;
#[cfg(feature = "reqwest")]
mod http_client;
mod identity;
mod login;
mod open_api;
mod profile;
mod reply;
mod response;
mod token;
mod upstream;
#[cfg(feature = "reqwest")]
mod warm_up;
