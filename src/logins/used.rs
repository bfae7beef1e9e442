//! The states that were used lately.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::login_state::StateKey;

/// About 3 MiB.
const MAX_STATES: usize = 65_536;
/// A login cookie is valid for 10 minutes by clocks that may differ by 5.
const KEPT_FOR: Duration = Duration::from_secs(15 * 60);

#[derive(Default)]
pub(super) struct UsedStates {
    states: HashSet<StateKey>,
    /// The oldest first.
    order: VecDeque<(Instant, StateKey)>,
}

impl UsedStates {
    pub(super) fn contains(&self, state: &StateKey) -> bool {
        self.states.contains(state)
    }

    pub(super) fn insert(&mut self, state: StateKey) {
        let now = Instant::now();
        if self.states.insert(state) {
            self.order.push_back((now, state));
        }
        while let Some((used_at, oldest)) = self.order.front() {
            if self.order.len() <= MAX_STATES && now.duration_since(*used_at) < KEPT_FOR {
                break;
            }
            self.states.remove(oldest);
            self.order.pop_front();
        }
    }
}
