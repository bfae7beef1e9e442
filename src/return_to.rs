//! The page at which a login or logout ends.

use crate::local_path::is_local_url;
use crate::origins::Origins;
use crate::paths::Paths;
use crate::percent::{self, compact, header_safe};

/// Limit of its `Location`. Escaped once more in the query of a login URL it takes up to three
/// times as much, and many proxies accept only 4 KiB of response headers.
const MAX_LOCATION: usize = 1024;

/// A path of this site or a URL of a trusted origin, perhaps with a query and a fragment. Its path
/// is none of the layer's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReturnTo {
    url: String,
    /// The length of the trusted origin. 0 for a path of this site.
    origin_len: usize,
}

impl ReturnTo {
    /// Returns the home page of this site.
    pub(crate) fn home(paths: &Paths) -> Self {
        Self {
            url: paths.home(),
            origin_len: 0,
        }
    }

    /// Returns `None` for anything that may lead elsewhere, and for the layer's own paths.
    ///
    /// 1. A path of this site gets the public prefix if it has none.
    /// 2. A URL is that of a trusted origin, byte for byte, and a path to which the same rules
    ///    apply.
    /// 3. If it is too long, only its path counts, without query and fragment, and if that is too
    ///    long as well, the home page of its origin.
    pub(crate) fn new(given: &str, paths: &Paths, origins: &Origins) -> Option<Self> {
        match origins.split(given) {
            Some((origin, url)) => Self::on_origin(origin, url, "/", paths),
            None if given.starts_with('/') => {
                Self::on_origin("", &paths.ensure_prefix(given), &paths.home(), paths)
            }
            None => None,
        }
    }

    /// Returns the page with this URL, as browsers write it in `Referer`.
    pub(crate) fn by_url(url: &str, paths: &Paths, origins: &Origins) -> Option<Self> {
        if let Some((origin, path)) = origins.split(url) {
            return Self::on_origin(origin, path, "/", paths);
        }
        let path = url.strip_prefix(origins.site())?;
        // Below another path is another app.
        let path = Some(path).filter(|path| paths.has_prefix(path))?;
        Self::on_origin("", path, &paths.home(), paths)
    }

    /// Returns the page at this path, which the app sees without the public prefix.
    pub(crate) fn requested(path: &str, paths: &Paths) -> Option<Self> {
        Self::on_origin("", &paths.add_prefix(path), &paths.home(), paths)
    }

    fn on_origin(origin: &str, url: &str, home: &str, paths: &Paths) -> Option<Self> {
        let path = without_query(url);
        let is_short = path.len() <= MAX_LOCATION;
        if is_short && (!is_local_url(url) || paths.leads_to_route(path)) {
            return None;
        }
        let fits = |url: &&str| {
            let room = MAX_LOCATION.saturating_sub(origin.len());
            url.len() <= room && header_safe(url).to_string().len() <= room
        };
        let urls = [url, path].into_iter().filter(|_| is_short);
        let url = urls.chain([home]).find(fits)?;
        Some(Self {
            url: format!("{origin}{url}"),
            origin_len: origin.len(),
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.url
    }

    /// Returns whether it is on a trusted origin.
    pub(crate) fn is_absolute(&self) -> bool {
        self.origin_len > 0
    }

    /// Returns the home page of its origin.
    pub(crate) fn home_url(&self, paths: &Paths) -> String {
        match self.is_absolute() {
            true => format!("{}/", &self.url[..self.origin_len]),
            false => paths.home(),
        }
    }

    /// Returns it percent-encoded for a `Location` header.
    pub(crate) fn to_location(&self) -> String {
        header_safe(&self.url).to_string()
    }

    /// Returns its `Location` with another fragment.
    pub(crate) fn to_location_with_fragment(&self, fragment: &str) -> String {
        let location = self.to_location();
        let end = location.find('#').unwrap_or(location.len());
        format!("{}#{fragment}", &location[..end])
    }

    /// Returns it as at most `limit` bytes: if it is too long, without query and fragment, and if
    /// that is too long as well, the home page of its origin. The leading slash of a path is left
    /// out.
    pub(crate) fn to_bytes(&self, limit: usize) -> Vec<u8> {
        let location = self.to_location();
        // With its slash.
        let home = match self.is_absolute() {
            true => &location[..=self.origin_len],
            false => "",
        };
        let urls = [&location, without_query(&location), home];
        let mut bytes = urls
            .into_iter()
            .map(|url| compact(url.strip_prefix('/').unwrap_or(url)));
        bytes.find(|bytes| bytes.len() <= limit).unwrap_or_default()
    }

    /// Reads the bytes of [`to_bytes`](Self::to_bytes), for [`new`](Self::new) to check.
    pub(crate) fn expand(bytes: &[u8]) -> String {
        let text = percent::expand(bytes);
        // No path has two slashes in a row.
        match text.starts_with("https://") || text.starts_with("http://") {
            true => text,
            false => format!("/{text}"),
        }
    }
}

fn without_query(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    &url[..end]
}
