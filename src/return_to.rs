//! The page at which a login or logout ends.

use serde::{Deserialize, Serialize};

use crate::local_path::is_local_url;
use crate::paths::Paths;
use crate::percent::header_safe;

const MAX_LEN: usize = 2048;

/// A path of this site, perhaps with a query and a fragment, that is not one of the layer's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReturnTo(String);

impl ReturnTo {
    /// Returns the page at `/`.
    pub(crate) fn home() -> Self {
        Self("/".into())
    }

    /// Returns `None` for anything that may lead elsewhere, and for the layer's own paths.
    pub(crate) fn new(given: impl Into<String>, paths: &Paths) -> Option<Self> {
        let given = given.into();
        let path = given.split(['?', '#']).next().unwrap_or_default();
        let is_allowed = (1..=MAX_LEN).contains(&given.len())
            && is_local_url(&given)
            && paths.find(path).is_none();
        is_allowed.then_some(Self(given))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns it percent-encoded for a `Location` header.
    pub(crate) fn to_location(&self) -> String {
        header_safe(&self.0).to_string()
    }
}
