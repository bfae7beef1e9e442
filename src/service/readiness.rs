//! Readiness of the inner service.

use std::mem;

/// Gives up the readiness of a service that is not called now. It may hold a permit that other
/// requests wait for.
pub(crate) fn release<S: Clone>(service: &mut S) {
    let unready = service.clone();
    drop(mem::replace(service, unready));
}
