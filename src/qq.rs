//! QQ's protocol: authorize, token, openid, profile. It knows no cookie and no request of the site.
//!
//! 1. The browser goes to [`QqClient::authorize_url`](crate::QqClient::authorize_url) and comes back
//!    with a code.
//! 2. The client exchanges the code for a token, once: a code can be used once.
//! 3. If that reply has no openid, or the app requests the UnionID, `/me` has them. It must name this
//!    app.
//! 4. The client asks for the profile. A login succeeds without it, unless the app requires it.
//! 5. A reply counts only with status 200, at most 64 KiB, and without an error in its body.
//! 6. `/me` and the profile are requested once more after a failure that may pass; the token never.

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
