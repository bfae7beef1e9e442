//! The page at which a login or logout ends.

use crate::local_path::is_local_url;
use crate::paths::Paths;
use crate::percent::{compact, expand, header_safe};

/// Limit of its `Location`. Escaped once more in the query of a login URL it takes up to three
/// times as much, and many proxies accept only 4 KiB of response headers.
const MAX_LOCATION: usize = 1024;

/// A path of this site, perhaps with a query and a fragment, that is not one of the layer's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReturnTo(String);

impl ReturnTo {
    /// Returns the page at `/`.
    pub(crate) fn home() -> Self {
        Self("/".into())
    }

    /// Returns `None` for anything that may lead elsewhere, and for the layer's own paths. If it is
    /// too long, only its path counts, without query and fragment.
    pub(crate) fn new(given: impl AsRef<str>, paths: &Paths) -> Option<Self> {
        let given = given.as_ref();
        let path = without_query(given);
        let is_allowed =
            path.len() <= MAX_LOCATION && is_local_url(given) && paths.find(path).is_none();
        let mut urls = [given, path].into_iter().filter(|_| is_allowed);
        let fits = |url: &&str| {
            url.len() <= MAX_LOCATION && header_safe(url).to_string().len() <= MAX_LOCATION
        };
        urls.find(fits).map(|url| Self(url.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns it percent-encoded for a `Location` header.
    pub(crate) fn to_location(&self) -> String {
        header_safe(&self.0).to_string()
    }

    /// Returns it as at most `limit` bytes: if it is too long, its path without query and fragment,
    /// and if that is too long as well, `/`. The leading slash is left out.
    pub(crate) fn to_bytes(&self, limit: usize) -> Vec<u8> {
        let location = self.to_location();
        let urls = [&location, without_query(&location)];
        let mut bytes = urls.into_iter().map(|url| compact(&url[1..]));
        bytes.find(|bytes| bytes.len() <= limit).unwrap_or_default()
    }

    /// Reads the bytes of [`to_bytes`](Self::to_bytes).
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(format!("/{}", expand(bytes)))
    }
}

fn without_query(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    &url[..end]
}
