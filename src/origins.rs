//! The origins whose pages belong to the site: its own, and those that the app trusts.

use crate::absolute_url::AbsoluteUrl;
use crate::config::{ConfigError, ConfigErrors};

const SETTING: &str = "trusted origin";

/// The origins whose pages belong to the site, as browsers write them in `Origin`.
#[derive(Debug)]
pub(crate) struct Origins {
    own: String,
    trusted: Vec<String>,
}

impl Origins {
    pub(crate) fn new(own: &str, trusted: &[String]) -> Self {
        let trusted = trusted.iter().filter_map(|given| normalize(given));
        Self {
            own: own.to_owned(),
            trusted: trusted.collect(),
        }
    }

    /// Returns the origin of the redirect URI.
    pub(crate) fn own(&self) -> &str {
        &self.own
    }

    /// Returns whether the app trusts an origin, byte for byte.
    pub(crate) fn is_trusted(&self, origin: &[u8]) -> bool {
        self.trusted
            .iter()
            .any(|trusted| trusted.as_bytes() == origin)
    }

    /// Splits a URL of a trusted origin into the origin and the rest, which starts with a slash.
    pub(crate) fn split<'u>(&self, url: &'u str) -> Option<(&'u str, &'u str)> {
        self.trusted.iter().find_map(|origin| {
            let rest = url.strip_prefix(origin.as_str())?;
            rest.starts_with('/').then(|| url.split_at(origin.len()))
        })
    }

    /// Collects an error for each trusted origin that is none. `redirect_uri` decides about plain
    /// http.
    pub(crate) fn check(trusted: &[String], redirect_uri: &str, errors: &mut ConfigErrors) {
        for given in trusted {
            errors.collect(check(given, redirect_uri));
        }
    }
}

fn check(given: &str, redirect_uri: &str) -> Result<(), ConfigError> {
    let wrong = |problem| Err(ConfigError::with_value(SETTING, problem, given));
    if given.contains('*') {
        return wrong("must be one origin, without wildcards: list each");
    }
    if !given.is_ascii() {
        return wrong("must be ASCII: write a Chinese domain in its xn-- form");
    }
    let Some(url) = AbsoluteUrl::parse(given).filter(|_| normalize(given).is_some()) else {
        return wrong("must be an origin such as https://www.example.com, without a path");
    };
    let is_exposed = |url: &AbsoluteUrl| !url.is_secure && !url.is_loopback();
    if is_exposed(&url) && !AbsoluteUrl::parse(redirect_uri).is_some_and(|url| is_exposed(&url)) {
        return wrong("must be https, except on localhost, 127.0.0.1 and [::1]");
    }
    Ok(())
}

/// Returns an origin as browsers write it, or `None` if the text is not just an origin.
fn normalize(given: &str) -> Option<String> {
    let url = AbsoluteUrl::parse(given)?;
    let is_part_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let authority = url.authority.as_str();
    let (_, rest) = given.split_once("://")?;
    (rest == authority && authority.bytes().all(is_part_of_host)).then(|| url.origin())
}
