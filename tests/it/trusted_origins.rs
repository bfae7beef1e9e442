//! Front ends on trusted origins.

use crate::site::{Browser, Site};

mod answers;
mod destinations;
mod return_to;
mod settings;

pub(crate) const WWW: &str = "https://www.site.example";
const ORIGINS: [&str; 3] = [WWW, "https://m.site.example:8443", "http://[::1]:5173"];

/// A site that trusts some origins.
pub(crate) fn site() -> Site {
    Site::with(|app| app, |layer| layer.trusted_origins(ORIGINS))
}

/// A script of a page of this origin, on the same site.
pub(crate) fn script(browser: Browser, origin: &str) -> Browser {
    browser
        .program()
        .header("sec-fetch-site", "same-site")
        .header("sec-fetch-mode", "cors")
        .header("sec-fetch-dest", "empty")
        .header("origin", origin)
}
