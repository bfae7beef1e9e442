//! The hook that names the app's account.

use http::request;
use tower::BoxError;

use super::panics::catch_panic;

type Hook = dyn Fn(&request::Parts) -> Option<String> + Send + Sync;

/// The hook of [`QqAuthLayerBuilder::account_of`](crate::QqAuthLayerBuilder::account_of).
pub(crate) struct AccountOf(Box<Hook>);

impl AccountOf {
    pub(crate) fn new(
        hook: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(hook))
    }

    /// Returns the account. The error is a panic of the hook.
    pub(crate) fn call(&self, head: &request::Parts) -> Result<Option<String>, BoxError> {
        catch_panic(|| (self.0)(head))
    }
}
