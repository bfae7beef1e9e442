//! The logins that finished within the last seconds.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{outcome::Outcome, shared::SharedLogin};
use crate::identity::Identity;
use crate::login_state::StateKey;
use crate::session::id::SessionId;

const MAX_LOGINS: usize = 4096;
const MAX_BYTES: usize = 8 * 1024 * 1024;

#[derive(Default)]
pub(super) struct FinishedLogins {
    logins: HashMap<StateKey, Finished>,
    /// The oldest first. May name logins that are gone.
    order: VecDeque<StateKey>,
    bytes: usize,
}

/// A finished login and its share of the memory limit.
pub(super) struct Finished {
    login: SharedLogin,
    outcome: Arc<Outcome>,
    bytes: usize,
}

impl FinishedLogins {
    pub(super) fn find(&self, state: &StateKey) -> Option<&SharedLogin> {
        self.logins.get(state).map(|finished| &finished.login)
    }

    /// Adds a login and returns the oldest ones, evicted to make room.
    pub(super) fn insert(
        &mut self,
        state: StateKey,
        login: SharedLogin,
        outcome: Arc<Outcome>,
    ) -> Vec<Finished> {
        let mut evicted = Vec::new();
        let bytes = size_of::<Finished>() + login.code.len() + outcome.bytes();
        while self.logins.len() >= MAX_LOGINS || self.bytes + bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            evicted.extend(self.remove(&oldest));
        }
        self.bytes += bytes;
        self.order.push_back(state);
        let finished = Finished {
            login,
            outcome,
            bytes,
        };
        self.logins.insert(state, finished);
        evicted
    }

    pub(super) fn remove(&mut self, state: &StateKey) -> Option<Finished> {
        let finished = self.logins.remove(state)?;
        self.bytes -= finished.bytes;
        // Most logins leave in the order in which they came.
        while let Some(oldest) = self.order.front() {
            if self.logins.contains_key(oldest) {
                break;
            }
            self.order.pop_front();
        }
        Some(finished)
    }

    pub(super) fn end_session(&self, user: &Identity, id: SessionId) {
        let outcomes = self.logins.values().map(|finished| &finished.outcome);
        for outcome in outcomes.filter(|outcome| outcome.has_session(user, id)) {
            outcome.mark_ended();
        }
    }
}
