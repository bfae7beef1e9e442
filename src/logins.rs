//! The logins that this process runs or ran lately, so that one state causes one call to QQ.
//!
//! 1. The first callback of a state leads: it runs the login. Others with the same code join it, while
//!    it runs and for 10 seconds after, and get the same outcome.
//! 2. At most 8 requests wait for one login.
//! 3. A state with another code, or after that time, is used up. A login whose token request never left
//!    this process uses nothing up.
//! 4. All tables are bounded. The limit of running logins refuses further ones. Outcomes and used
//!    states give way to newer ones instead, the oldest first.
//!
//! The tables hold nothing that another machine needs, and may be lost at any time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::error::LoginError;
use crate::error::LoginErrorKind::AppFailed;
use crate::login_state::StateKey;
use crate::meter::InFlight;

pub(crate) mod attempt;
mod finished;
pub(crate) mod outcome;
mod used;

use self::{
    attempt::{Attempt, Seat},
    finished::FinishedLogins,
    outcome::{LoginResult, Outcome},
    used::UsedStates,
};

/// The time for which another request gets the outcome of a login.
const HANDED_OUT_FOR: Duration = Duration::from_secs(10);

/// The logins of one layer.
pub(crate) struct Logins {
    /// One permit for each login that may run.
    permits: Arc<Semaphore>,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    running: HashMap<StateKey, Attempt>,
    finished: FinishedLogins,
    used: UsedStates,
}

/// The part of a request in a login.
pub(crate) enum Part {
    Lead(Lead, Seat),
    Join(Seat),
    /// The login runs with another code.
    OtherCode,
    Used,
    /// Too many logins run, or too many requests wait for this one.
    Overloaded,
}

impl Logins {
    pub(crate) fn new(max_running: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_running)),
            tables: Mutex::default(),
        }
    }

    /// Decides the part of a callback. Everything that a first callback has to pass is checked before.
    pub(crate) fn enter(self: &Arc<Self>, state: StateKey, code: &str) -> Part {
        let mut tables = self.lock();
        let finished = tables.finished.find(&state).cloned();
        if let Some(attempt) = tables.running.get(&state).or(finished.as_ref()) {
            return match attempt.take_seat() {
                _ if attempt.code != code && finished.is_some() => Part::Used,
                _ if attempt.code != code => Part::OtherCode,
                Some(seat) => Part::Join(seat),
                None => Part::Overloaded,
            };
        }
        if tables.used.contains(&state) {
            return Part::Used;
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return Part::Overloaded;
        };
        let (sender, outcome) = watch::channel(None);
        let attempt = Attempt::new(code.to_owned(), outcome);
        let Some(seat) = attempt.take_seat() else {
            return Part::Overloaded;
        };
        tables.running.insert(state, attempt);
        let lead = Lead {
            logins: Arc::clone(self),
            state,
            sender,
            in_flight: Some((permit, InFlight::new())),
        };
        Part::Lead(lead, seat)
    }

    /// Hands out no outcome with this session any more.
    pub(crate) fn end_session(&self, id: &[u8; 16]) {
        self.lock().finished.end_session(id);
    }

    fn finish(&self, state: StateKey, outcome: &Arc<Outcome>) {
        let mut tables = self.lock();
        let attempt = tables.running.remove(&state);
        if outcome.is_unsent() {
            return;
        }
        tables.used.insert(state);
        let evicted = attempt.map(|attempt| {
            let outcome = Arc::clone(outcome);
            tables.finished.insert(state, attempt, outcome)
        });
        // An outcome that no request fetched writes to the log when it is dropped.
        drop(tables);
        drop(evicted);
    }

    fn forget(&self, state: &StateKey) {
        let forgotten = self.lock().finished.remove(state);
        drop(forgotten);
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // No code of the app runs under the lock, so no panic leaves the tables half changed.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to finish a login. Dropping it, as a panic does, ends the login as `app_failed`.
pub(crate) struct Lead {
    logins: Arc<Logins>,
    state: StateKey,
    sender: watch::Sender<Option<Arc<Outcome>>>,
    /// `None` once the login has finished.
    in_flight: Option<(OwnedSemaphorePermit, InFlight)>,
}

impl Lead {
    /// Publishes the outcome and forgets it after 10 seconds.
    pub(crate) async fn finish(mut self, outcome: Outcome) {
        self.publish(outcome);
        tokio::time::sleep(HANDED_OUT_FOR).await;
    }

    fn publish(&mut self, outcome: Outcome) {
        let outcome = Arc::new(outcome);
        self.logins.finish(self.state, &outcome);
        self.in_flight = None;
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if self.in_flight.is_some() {
            let error = LoginError::new(AppFailed, "the login panicked, or its runtime shut down");
            self.publish(Outcome::new(LoginResult::Failed(error), Duration::ZERO));
        }
        self.logins.forget(&self.state);
    }
}
