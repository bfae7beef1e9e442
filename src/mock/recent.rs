//! A map of limited size.

use std::collections::{HashMap, VecDeque};

/// The number of entries that each collection of the mock keeps.
pub(super) const LIMIT: usize = 4096;

/// A map that keeps the [`LIMIT`] entries inserted last.
pub(super) struct RecentMap<T> {
    entries: HashMap<String, T>,
    /// The keys in the order of insertion, including those of removed entries.
    keys: VecDeque<String>,
}

impl<T> RecentMap<T> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            keys: VecDeque::new(),
        }
    }

    /// Inserts an entry under a new key, and removes the oldest one if there are too many.
    pub(super) fn insert(&mut self, key: String, value: T) {
        if self.keys.len() == LIMIT {
            if let Some(oldest) = self.keys.pop_front() {
                self.entries.remove(&oldest);
            }
        }
        self.keys.push_back(key.clone());
        self.entries.insert(key, value);
    }

    pub(super) fn get(&self, key: &str) -> Option<&T> {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut()
    }
}
