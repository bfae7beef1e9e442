//! Panics of the app's code.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tower::BoxError;

/// Runs code of the app and turns a panic into an error. Its message goes to the panic hook.
pub(crate) fn catch_panic<T>(code: impl FnOnce() -> T) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|_| "the app's code panicked".into())
}
