//! A limit for log lines that strangers can cause.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Lines of one kind in each period.
const MAX_LINES: u32 = 5;
const PERIOD: Duration = Duration::from_secs(1);

/// Limits each kind of line by itself.
#[derive(Default)]
pub(crate) struct LogLimit(Mutex<HashMap<&'static str, Period>>);

struct Period {
    started_at: Instant,
    lines: u32,
    left_out: u64,
}

impl LogLimit {
    /// Returns the number of lines of this kind left out since the last one, or `None` if this one
    /// is to be left out as well.
    pub(crate) fn admit(&self, kind: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut periods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let period = periods.entry(kind).or_insert(Period {
            started_at: now,
            lines: 0,
            left_out: 0,
        });
        if now.duration_since(period.started_at) >= PERIOD {
            period.started_at = now;
            period.lines = 0;
        }
        if period.lines == MAX_LINES {
            period.left_out += 1;
            return None;
        }
        period.lines += 1;
        Some(std::mem::take(&mut period.left_out))
    }
}
