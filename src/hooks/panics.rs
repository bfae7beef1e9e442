//! Panics of the app's code.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use tower::BoxError;

/// Runs code of the app and turns a panic into an error. Its message goes to the panic hook.
pub(crate) fn catch_panic<T>(code: impl FnOnce() -> T) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|_| "the app's code panicked".into())
}

/// Runs a future of the app, and ends it with an error if it panics.
pub(crate) async fn catch_panics<T>(
    future: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_panic(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}
