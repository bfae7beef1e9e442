//! QQ's protocol: authorize, token, openid, profile. It knows neither cookies nor the site's
//! requests.
//!
//! 1. The browser goes to [`QqClient::authorize_url`](crate::QqClient::authorize_url) and comes
//!    back with a code.
//! 2. The client exchanges the code for a token, once, because a code works only once.
//! 3. If that reply has no openid, or the app requests the UnionID, the client asks `/me`, whose
//!    reply must name this app and this user. If the openid is known, a `/me` that fails does not
//!    fail the login.
//! 4. The client asks for the profile. A login succeeds without it, unless the app requires it.
//! 5. A login with the token of a phone app ([`QqClient::verify`](crate::QqClient::verify)) starts
//!    at `/me`, whose reply must name an app that the site accepts.
//! 6. A body up to 64 KiB is read whatever the status: one of QQ's error numbers in it counts.
//!    Without one, a reply counts only if its status is 200.
//! 7. After a transient failure `/me` and the profile are retried once, the token never. Below
//!    that, the built-in HTTP client sends any request again that no connection has taken, or that
//!    QQ says it did not process.

pub(crate) mod app;
pub(crate) mod app_builder;
mod app_checks;
pub(crate) mod client;
pub mod codes;
#[cfg(feature = "reqwest")]
mod http_client;
mod login;
mod mend;
mod open_api;
mod profile;
mod reply;
pub(crate) mod response;
#[cfg(feature = "reqwest")]
mod send_error;
#[cfg(feature = "reqwest")]
mod taken_body;
mod token;
mod token_owner;
mod upstream;
mod verifications;
mod verify;
#[cfg(feature = "reqwest")]
mod warm_up;
