//! The origins whose pages belong to the site: its own, and those that the app trusts.

use crate::absolute_url::AbsoluteUrl;
use crate::config::{ConfigError, ConfigErrors};
use crate::redirect_uri::RedirectUri;

/// The origins whose pages belong to the site, as browsers write them in `Origin`.
#[derive(Debug)]
pub(crate) struct Origins {
    site: String,
    trusted: Vec<String>,
}

impl Origins {
    /// Leaves out invalid origins, which [`check`](Self::check) finds.
    pub(crate) fn new(redirect_uri: &RedirectUri, trusted: &[String]) -> Self {
        let trusted = trusted.iter().map(|given| parse(given, redirect_uri));
        Self {
            site: redirect_uri.origin().to_owned(),
            trusted: trusted.filter_map(Result::ok).collect(),
        }
    }

    /// Collects an error for each invalid origin.
    pub(crate) fn check(redirect_uri: &RedirectUri, trusted: &[String], errors: &mut ConfigErrors) {
        for given in trusted {
            errors.collect(parse(given, redirect_uri));
        }
    }

    /// Returns the origin of the redirect URI.
    pub(crate) fn site(&self) -> &str {
        &self.site
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
}

/// Returns an origin as browsers write it. Plain http on a public host needs a redirect URI of that
/// kind.
fn parse(given: &str, redirect_uri: &RedirectUri) -> Result<String, ConfigError> {
    let wrong = |problem: &str| Err(ConfigError::with_value("trusted origin", problem, given));
    if given.contains('*') {
        return wrong("must be one origin, without wildcards: list each");
    }
    if !given.is_ascii() {
        return wrong("must be ASCII: write a Chinese domain in its xn-- form");
    }
    let Some(url) = AbsoluteUrl::parse(given).filter(|url| is_origin(given, url)) else {
        return wrong("must be an origin such as https://www.example.com, without a path");
    };
    let origin = url.origin();
    if let Some(written) = as_browsers_write(&origin) {
        return wrong(&format!("must be written as browsers do, {written}"));
    }
    if url.is_exposed() && !redirect_uri.is_exposed() {
        return wrong("must be https, except on localhost, 127.0.0.1 and [::1]");
    }
    Ok(origin)
}

/// Returns the origin that browsers write for this one, if they write another, such as
/// `https://127.0.0.1` for `https://127.1`.
#[cfg(feature = "reqwest")]
fn as_browsers_write(origin: &str) -> Option<String> {
    let url = reqwest::Url::parse(origin).ok()?;
    let written = url.origin().ascii_serialization();
    (written != origin).then_some(written)
}

/// Without reqwest no dependency can tell.
#[cfg(not(feature = "reqwest"))]
fn as_browsers_write(_: &str) -> Option<String> {
    None
}

/// Returns whether a URL is nothing but an origin.
fn is_origin(text: &str, url: &AbsoluteUrl) -> bool {
    let is_part_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let authority = url.authority.as_str();
    let rest = text.split_once("://").map(|(_, rest)| rest);
    rest == Some(authority) && authority.bytes().all(is_part_of_host)
}
