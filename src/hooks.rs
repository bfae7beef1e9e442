//! The app's own code in a login: what its hooks are given.
//!
//! [`on_login`](crate::QqAuthLayerBuilder::on_login) decides whether a login succeeds, by a
//! [`Verdict`](crate::Verdict). [`failure_page`](crate::QqAuthLayerBuilder::failure_page) renders a
//! [`Failure`]. [`account_of`](crate::QqAuthLayerBuilder::account_of) names the app's own account.
//! A hook that panics fails that login and nothing else.

pub(crate) mod account_of;
pub(crate) mod failure_page;
pub(crate) mod on_login;
pub(crate) mod panics;

pub use self::failure_page::Failure;
