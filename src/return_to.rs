//! The page at which a login or logout ends.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::local_path::is_local_url;
use crate::paths::Paths;
use crate::request::query::header_safe;

const MAX_LEN: usize = 2048;

/// A path of this site, perhaps with a query and a fragment, that is not one of the layer's own.
///
/// `Display` writes it for a `Location` header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReturnTo(String);

impl ReturnTo {
    /// The page at `/`.
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
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", header_safe(&self.0))
    }
}
