//! The redirect URI, to which QQ sends users back. It names the site.

use percent_encoding::percent_decode_str;

use crate::absolute_url::AbsoluteUrl;
use crate::config::{ConfigError, find_wrapping};
use crate::local_path::REWRITTEN;
use crate::paths::{LOGIN_PATH, LOGOUT_PATH};

pub(crate) const SETTING: &str = "redirect URI (QQ_REDIRECT_URI)";

/// QQ allows 500 bytes for the redirect URI and the state together; a state has fewer than 40.
const MAX_LEN: usize = 500 - 40;

/// Parameters that QQ adds to the callback.
const QQ_PARAMETERS: [&str; 6] = [
    "code",
    "state",
    "usercancel",
    "error",
    "error_description",
    "msg",
];

/// An absolute URL such as `https://example.com/auth/qq/callback`, kept exactly as given.
#[derive(Clone, Debug)]
pub(crate) struct RedirectUri {
    text: String,
    is_secure: bool,
    is_exposed: bool,
    has_port: bool,
    /// As browsers write it in the `Origin` header.
    origin: String,
    path: String,
}

impl RedirectUri {
    pub(crate) fn new(text: String, allow_plain_http: bool) -> Result<Self, ConfigError> {
        let wrong = |problem: &str| Err(ConfigError::with_value(SETTING, problem, &text));
        if let Some(problem) = find_wrapping(&text) {
            return wrong(problem);
        }
        if text.contains(';') {
            return wrong("must be one URI: QQ's console separates several by `;`");
        }
        if text.len() > MAX_LEN {
            return wrong("is too long: QQ allows 500 bytes for it and the state together");
        }
        if text.contains('#') {
            return wrong("contains a `#`, which QQ does not allow");
        }
        if !text.is_ascii() {
            return wrong(&match punycode_domain(&text) {
                Some(domain) => format!("must be ASCII: write its domain as {domain}"),
                None => "must be ASCII: write a Chinese domain in its xn-- form".into(),
            });
        }
        let Some(url) = AbsoluteUrl::parse(&text) else {
            return wrong("must be a URL such as https://example.com/auth/qq/callback");
        };
        if url.is_exposed() && !allow_plain_http {
            return wrong("must be https, except on localhost, 127.0.0.1 and [::1]");
        }
        let uri = &url.uri;
        if ["/", LOGIN_PATH, LOGOUT_PATH].contains(&uri.path()) {
            return wrong("needs a path of its own, such as /auth/qq/callback");
        }
        if uri.path().contains(REWRITTEN) {
            return wrong("has a character in its path that browsers rewrite");
        }
        let is_dropped = |segment: &str| {
            let segment = percent_decode_str(segment).collect::<Vec<u8>>();
            matches!(&segment[..], b"" | b"." | b"..")
        };
        let mut segments = uri.path()[1..].trim_end_matches('/').split('/');
        if uri.path().ends_with("//") || segments.any(is_dropped) {
            return wrong("has an empty or a dot segment, which browsers drop");
        }
        let pairs = uri.query().unwrap_or_default().split('&');
        let mut names = pairs.map(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            percent_decode_str(name).decode_utf8_lossy()
        });
        if names.any(|name| QQ_PARAMETERS.contains(&&*name)) {
            return wrong(
                "has a parameter in its query that QQ adds itself, such as code or state",
            );
        }
        Ok(Self {
            is_secure: url.is_secure,
            is_exposed: url.is_exposed(),
            has_port: url.authority.port().is_some(),
            origin: url.origin(),
            path: uri.path().to_owned(),
            text,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Returns whether the URI is plain http on a host that others can reach.
    pub(crate) fn is_exposed(&self) -> bool {
        self.is_exposed
    }

    /// Returns whether the URI names a port, even the default one.
    pub(crate) fn has_port(&self) -> bool {
        self.has_port
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Returns the ASCII form of an international domain.
#[cfg(feature = "reqwest")]
fn punycode_domain(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let domain = url.domain()?.to_owned();
    domain.contains("xn--").then_some(domain)
}

/// Without reqwest no dependency can compute it.
#[cfg(not(feature = "reqwest"))]
fn punycode_domain(_: &str) -> Option<String> {
    None
}
