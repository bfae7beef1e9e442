//! The hook that names the app's own account.

use std::sync::Arc;

use http::request;
use tower::BoxError;

use super::panics::catch_panic;

type Ask = dyn Fn(&request::Parts) -> Option<String> + Send + Sync;

#[derive(Clone)]
pub(crate) struct AccountOf(Arc<Ask>);

impl AccountOf {
    pub(crate) fn new(
        hook: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(hook))
    }

    /// Returns the account. The error is a panic of the hook.
    pub(crate) fn call(&self, head: &request::Parts) -> Result<Option<String>, BoxError> {
        catch_panic(|| (self.0)(head))
    }
}
