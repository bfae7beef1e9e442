//! What can be counted about logins, through the `metrics` facade.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `qq_auth_logins_total` | counter | `outcome`: `ok`, `abandoned` or the code of the failure |
//! | `qq_auth_login_seconds` | histogram | `outcome` |
//! | `qq_auth_logins_in_flight` | gauge | |
//! | `qq_auth_old_key_used_total` | counter | cookies opened by a key that is not the first |
//! | `qq_auth_qq_calls_total` | counter | `endpoint`, `result`: `ok` or the code of the failure |

use std::time::Duration;

use metrics::{counter, gauge, histogram};

pub(crate) fn login_ended(outcome: &'static str, elapsed: Duration) {
    counter!("qq_auth_logins_total", "outcome" => outcome).increment(1);
    histogram!("qq_auth_login_seconds", "outcome" => outcome).record(elapsed.as_secs_f64());
}

pub(crate) fn qq_called(endpoint: &'static str, result: &'static str) {
    counter!("qq_auth_qq_calls_total", "endpoint" => endpoint, "result" => result).increment(1);
}

pub(crate) fn old_key_used() {
    counter!("qq_auth_old_key_used_total").increment(1);
}

/// Counts a login as in flight for as long as it is kept.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn new() -> Self {
        gauge!("qq_auth_logins_in_flight").increment(1);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!("qq_auth_logins_in_flight").decrement(1);
    }
}
