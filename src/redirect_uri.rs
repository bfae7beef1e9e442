//! The one fact about the site: where QQ sends people back to.

use http::{Uri, uri::Authority};
use percent_encoding::percent_decode_str;

use crate::ConfigError;

const SETTING: &str = "redirect URI (QQ_REDIRECT_URI)";

/// QQ allows the callback and the state 500 bytes together; a state of ours stays below 40.
const MAX_LEN: usize = 500 - 40;

/// Paths that the layer takes unless it is told otherwise. No callback can have them: to build a layer never fails.
pub(crate) const LOGIN_PATH: &str = "/auth/qq/login";
pub(crate) const LOGOUT_PATH: &str = "/auth/qq/logout";

/// What browsers write in another way in a path: it would be none that a request has.
pub(crate) const REWRITTEN: [char; 7] = ['"', '<', '>', '\\', '`', '{', '}'];

/// What QQ itself adds to the callback.
const OF_QQ: [&str; 6] = [
    "code",
    "state",
    "usercancel",
    "error",
    "error_description",
    "msg",
];

/// An absolute URL such as `https://site/auth/qq/callback`, kept exactly as it was given.
#[derive(Clone, Debug)]
pub(crate) struct RedirectUri {
    text: String,
    secure: bool,
    /// As browsers write it in the `Origin` header.
    origin: String,
    path: String,
}

impl RedirectUri {
    pub(crate) fn new(text: String, plain_http_anywhere: bool) -> Result<Self, ConfigError> {
        let wrong = |problem: &'static str| Err(ConfigError::new(SETTING, problem));
        if text.len() > MAX_LEN {
            return wrong("is too long: QQ allows 500 bytes for it and the state together");
        }
        if text.contains('#') {
            return wrong("holds a `#`, which QQ does not allow");
        }
        let Some((secure, host, uri)) = absolute_url(&text) else {
            return wrong("is no URL such as https://example.com/auth/qq/callback");
        };
        if !secure && !plain_http_anywhere && !is_loopback(host.host()) {
            return wrong("must be https, except on localhost");
        }
        if ["/", LOGIN_PATH, LOGOUT_PATH].contains(&uri.path()) {
            return wrong("needs a path of its own, such as /auth/qq/callback");
        }
        if uri.path().contains(REWRITTEN) {
            return wrong("holds a character in its path that browsers write in another way");
        }
        let odd_segment = |segment: &str| {
            let segment = percent_decode_str(segment).collect::<Vec<u8>>();
            matches!(&segment[..], b"" | b"." | b"..")
        };
        let mut segments = uri.path()[1..].trim_end_matches('/').split('/');
        if uri.path().ends_with("//") || segments.any(odd_segment) {
            return wrong("holds a segment that browsers leave out: `.`, `..` or none");
        }
        let given = uri.query().unwrap_or_default().split('&');
        let mut names = given.map(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            percent_decode_str(name).decode_utf8_lossy()
        });
        if names.any(|name| OF_QQ.contains(&&*name)) {
            return wrong("has a parameter in its query that is QQ's, such as code or state");
        }
        let scheme = if secure { "https" } else { "http" };
        let default_port = if secure { ":443" } else { ":80" };
        let authority = host.as_str().to_ascii_lowercase();
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
        Ok(Self {
            secure,
            origin: format!("{scheme}://{authority}"),
            path: uri.path().to_owned(),
            text,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Whether it is https, its host and port, and the whole: of an http(s) URL without user info.
pub(super) fn absolute_url(text: &str) -> Option<(bool, Authority, Uri)> {
    let uri = Uri::try_from(text).ok().filter(|_| text.is_ascii())?;
    let secure = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority()?.clone();
    let is_plain = !authority.host().is_empty() && !authority.as_str().contains('@');
    // A colon without a number, or with one that is none of a port's.
    let port = &authority.as_str()[authority.host().len().min(authority.as_str().len())..];
    let plain = is_plain && (port.is_empty() || authority.port_u16().is_some());
    plain.then_some((secure, authority, uri))
}

pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
