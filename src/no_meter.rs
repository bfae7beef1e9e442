//! Without the feature `metrics` nothing is counted.

use std::time::Duration;

use crate::error::place::Step;

pub(crate) fn register() {}

#[cfg(feature = "revocation")]
pub(crate) fn register_revocations() {}

pub(crate) fn token_verified(_: &'static str) {}

pub(crate) fn login_started() {}

pub(crate) fn login_ended(_: &'static str, _: Option<&'static str>, _: Duration) {}

pub(crate) fn record_call_time(_: Step, _: Duration) {}

pub(crate) fn qq_called(_: Step, _: &'static str) {}

pub(crate) fn session_unreadable() {}

pub(crate) fn old_key_used() {}

#[cfg(feature = "revocation")]
pub(crate) fn revocation_list_called(_: &'static str, _: bool) {}

#[cfg(feature = "revocation")]
pub(crate) fn session_unconfirmed(_: &'static str) {}

pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn new() -> Self {
        Self(())
    }
}
