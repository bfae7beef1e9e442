//! The figures of many machines: calls of Redis, its memory, the delay of a revocation, a change of
//! keys, and speed.

mod checks;
mod delay;
mod entries;
mod keys;
mod speed;

use crate::process::Redis;

/// Measures all parts, or only those named on the command line.
pub async fn run() {
    let parts: Vec<_> = std::env::args().skip(2).collect();
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|it| it == part);
    let redis = Redis::start().await;
    if is_wanted("checks") {
        checks::measure(&redis).await;
    }
    if is_wanted("delay") {
        delay::measure(&redis).await;
    }
    if is_wanted("keys") {
        keys::measure(&redis).await;
    }
    if is_wanted("speed") {
        speed::measure(&redis).await;
    }
    if is_wanted("entries") {
        entries::measure(&redis).await;
    }
}
