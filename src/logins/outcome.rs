//! The outcome of a login, for every request that waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::LoginError;
use crate::events::{log_abandoned, log_failure, log_success};
use crate::identity::Identity;
use crate::login::QqLogin;
use crate::return_to::ReturnTo;
use crate::session::Session;
use crate::session::id::SessionId;

/// The outcome of a login. It is logged when the first request fetches it, or as abandoned if none
/// does.
pub(crate) struct Outcome {
    pub(crate) result: LoginResult,
    /// The time from the callback to the outcome.
    elapsed: Duration,
    is_fetched: AtomicBool,
    has_ended: AtomicBool,
    /// `true` once a handler of the app has answered.
    is_answered: Arc<Mutex<bool>>,
}

pub(crate) enum LoginResult {
    Accepted(Box<Accepted>),
    /// The app refused the login and sends the browser elsewhere.
    Refused(LoginError, ReturnTo),
    Failed(LoginError),
}

pub(crate) struct Accepted {
    /// `None` unless the app answers the callback.
    pub(crate) login: Option<QqLogin>,
    /// `None` if the app keeps the sessions.
    pub(crate) session: Option<Session>,
    pub(crate) return_to: ReturnTo,
    pub(crate) profile_complete: bool,
}

impl Outcome {
    pub(crate) fn new(result: LoginResult, elapsed: Duration) -> Self {
        Self {
            result,
            elapsed,
            is_fetched: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            is_answered: Arc::default(),
        }
    }

    /// Notes that a request got the outcome, and logs it if that is the first one.
    pub(crate) fn mark_fetched(&self) {
        if self.is_fetched.swap(true, Relaxed) {
            return;
        }
        match &self.result {
            LoginResult::Accepted(accepted) => log_success(accepted.profile_complete, self.elapsed),
            LoginResult::Refused(error, _) | LoginResult::Failed(error) => {
                log_failure(error, self.elapsed);
            }
        }
    }

    /// Returns `true` once the session has ended, so that the outcome is not handed out any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Relaxed)
    }

    /// Waits for a running handler of this login.
    pub(crate) async fn wait_for_handler(&self) -> HandlerTurn {
        HandlerTurn(Arc::clone(&self.is_answered).lock_owned().await)
    }

    /// Returns whether the code of the login is still good.
    pub(super) fn is_code_unused(&self) -> bool {
        matches!(&self.result, LoginResult::Failed(error) if error.is_code_unused())
    }

    pub(super) fn has_session(&self, user: &Identity, id: SessionId) -> bool {
        let LoginResult::Accepted(accepted) = &self.result else {
            return false;
        };
        let session = accepted.session.as_ref();
        session.is_some_and(|session| session.id == id && session.user.identity() == *user)
    }

    pub(super) fn mark_ended(&self) {
        self.has_ended.store(true, Relaxed);
    }

    /// Estimates the memory that the outcome takes.
    pub(super) fn bytes(&self) -> usize {
        // Covers the parts of bounded size: the user, the tokens, the return_to.
        const BOUNDED: usize = 1536;
        let profile = match &self.result {
            LoginResult::Accepted(accepted) => accepted.login.as_ref().and_then(QqLogin::profile),
            LoginResult::Refused(..) | LoginResult::Failed(_) => None,
        };
        BOUNDED + profile.map_or(0, object_bytes)
    }
}

fn object_bytes(object: &Map<String, Value>) -> usize {
    let entry = |(name, value): (&String, &Value)| name.len() + value_bytes(value);
    object.iter().map(entry).sum()
}

fn value_bytes(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_bytes).sum(),
        Value::Object(object) => object_bytes(object),
    };
    // The node itself, with its share of the tree.
    inner + 100
}

/// The turn of a handler of the app to answer a login. Other requests with the login wait for it.
pub(crate) struct HandlerTurn(OwnedMutexGuard<bool>);

impl HandlerTurn {
    pub(crate) fn is_answered(&self) -> bool {
        *self.0
    }

    pub(crate) fn mark_answered(mut self) {
        *self.0 = true;
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if *self.is_fetched.get_mut() {
            return;
        }
        let error = match &self.result {
            LoginResult::Accepted(_) => None,
            LoginResult::Refused(error, _) | LoginResult::Failed(error) => Some(error),
        };
        log_abandoned(error, self.elapsed);
    }
}
