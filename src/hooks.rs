//! Hooks: the app's code that takes part in a login.
//!
//! [`on_login`](crate::QqAuthLayerBuilder::on_login) decides whether a login succeeds, by a
//! [`Verdict`](crate::Verdict). [`failure_page`](crate::QqAuthLayerBuilder::failure_page) renders a
//! [`Failure`]. [`account_of`](crate::QqAuthLayerBuilder::account_of) names the app's account.
//!
//! A panic in a hook never affects other requests: `on_login` fails the login, `account_of` fails a
//! login with an intent, and `failure_page` falls back to the layer's page.

pub(crate) mod account_of;
pub(crate) mod failure_page;
pub(crate) mod on_login;
pub(crate) mod panics;

pub use self::failure_page::Failure;
