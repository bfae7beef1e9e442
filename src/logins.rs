//! The logins that this process runs or ran lately, so that one state causes one call to QQ.
//!
//! 1. The first callback of a state runs the login. Others with the same code join it, while it
//!    runs and for 10 seconds after, and get the same outcome.
//! 2. At most 8 requests wait for one login.
//! 3. A state with another code, or after that time, is used up. A login whose token request never
//!    left this process uses nothing up.
//! 4. All tables are bounded. The limit of running logins refuses further ones. The oldest outcomes
//!    and used states give way to newer ones.
//!
//! The tables hold nothing that another machine needs, and may be lost at any time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::AppFailed;
use crate::identity::Identity;
use crate::login_state::StateKey;
use crate::meter::InFlight;
use crate::random::generate_support_code;
use crate::session::id::SessionId;

mod finished;
pub(crate) mod outcome;
pub(crate) mod shared;
mod used;

use self::{
    finished::FinishedLogins,
    outcome::{LoginResult, Outcome},
    shared::{OutcomeReceiver, SharedLogin},
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
    running: HashMap<StateKey, SharedLogin>,
    finished: FinishedLogins,
    used: UsedStates,
}

/// The part of a callback in its login.
pub(crate) enum Entry {
    /// It runs the login.
    Run(RunningLogin, OutcomeReceiver),
    /// It joins the login that runs or has finished.
    Join(OutcomeReceiver),
    /// The login runs with another code.
    OtherCode,
    /// The login has finished with another code, or more than 10 seconds ago.
    Used,
    /// Too many requests wait for this login.
    Crowded,
    /// Too many logins run.
    Overloaded,
}

impl Logins {
    pub(crate) fn new(max_running: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_running)),
            tables: Mutex::default(),
        }
    }

    /// Decides whether a callback runs the login, joins it or is refused. The caller has checked
    /// state, account and code.
    pub(crate) fn enter(self: &Arc<Self>, state: StateKey, code: &str) -> Entry {
        let mut tables = self.lock();
        let running = tables.running.get(&state);
        let is_running = running.is_some();
        if let Some(login) = running.or_else(|| tables.finished.find(&state)) {
            return match login.code == code {
                true => login.join().map_or(Entry::Crowded, Entry::Join),
                false if is_running => Entry::OtherCode,
                false => Entry::Used,
            };
        }
        if tables.used.contains(&state) {
            return Entry::Used;
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return Entry::Overloaded;
        };
        let (sender, outcome) = watch::channel(None);
        let login = SharedLogin::new(code.to_owned(), outcome);
        let Some(receiver) = login.join() else {
            return Entry::Crowded;
        };
        tables.running.insert(state, login);
        drop(tables);
        let mut running = RunningLogin {
            logins: Arc::clone(self),
            state,
            sender: Some(sender),
            in_flight: None,
            _permit: permit,
        };
        // The app's recorder of metrics may panic: by now `running` cleans up.
        running.in_flight = Some(InFlight::new());
        Entry::Run(running, receiver)
    }

    /// Stops handing out outcomes that contain this session of the user.
    pub(crate) fn end_session(&self, user: &Identity, id: SessionId) {
        self.lock().finished.end_session(user, id);
    }

    /// Returns whether the outcome is stored: that of a login that was never sent is not.
    fn store(&self, state: StateKey, outcome: &Arc<Outcome>) -> bool {
        let mut tables = self.lock();
        let login = tables.running.remove(&state);
        if outcome.is_code_unused() {
            return false;
        }
        tables.used.insert(state);
        let evicted = login.map(|login| {
            let outcome = Arc::clone(outcome);
            tables.finished.insert(state, login, outcome)
        });
        // An outcome that no request fetched writes to the log when it is dropped.
        drop(tables);
        drop(evicted);
        true
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

/// A login that runs. Dropping it, as a panic does, ends the login as `app_failed`.
pub(crate) struct RunningLogin {
    logins: Arc<Logins>,
    state: StateKey,
    /// `None` once the outcome is published.
    sender: Option<watch::Sender<Option<Arc<Outcome>>>>,
    in_flight: Option<InFlight>,
    _permit: OwnedSemaphorePermit,
}

impl RunningLogin {
    /// Publishes the outcome, and forgets it after 10 seconds.
    pub(crate) async fn finish(mut self, outcome: Outcome) {
        let is_stored = self.publish(outcome);
        let (logins, state) = (Arc::clone(&self.logins), self.state);
        // Frees the place for another login.
        drop(self);
        if is_stored {
            tokio::time::sleep(HANDED_OUT_FOR).await;
            logins.forget(&state);
        }
    }

    fn publish(&mut self, outcome: Outcome) -> bool {
        let outcome = Arc::new(outcome);
        let is_stored = self.logins.store(self.state, &outcome);
        self.in_flight = None;
        if let Some(sender) = self.sender.take() {
            sender.send_replace(Some(outcome));
        }
        is_stored
    }
}

impl Drop for RunningLogin {
    fn drop(&mut self) {
        if self.sender.is_some() {
            let error = LoginError::new(AppFailed, "the login panicked, or its runtime shut down")
                .with_support_code(generate_support_code());
            self.publish(Outcome::new(LoginResult::Failed(error), Duration::ZERO));
        }
    }
}
