//! Time as cookies and revocation lists store it: milliseconds since the Unix epoch.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The source of the current time, so that tests can bring their own.
pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The tolerated difference between the clocks of two machines of one site.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

pub(crate) fn unix_millis(time: SystemTime) -> u64 {
    as_millis(
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

pub(crate) fn from_unix_millis(millis: u64) -> SystemTime {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    // No clock shows a later time than this.
    time.unwrap_or(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40))
}

pub(crate) fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
