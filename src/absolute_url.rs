//! Absolute URLs.

use std::net::IpAddr;

use http::{Uri, uri::Authority};

/// An http or https URL without user info.
pub(crate) struct AbsoluteUrl {
    pub(crate) is_secure: bool,
    /// The host, and the port if there is one.
    pub(crate) authority: Authority,
    pub(crate) uri: Uri,
}

impl AbsoluteUrl {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri = Uri::try_from(text).ok().filter(|_| text.is_ascii())?;
        let is_secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?.clone();
        let host = authority.host();
        if host.is_empty() || authority.as_str().contains('@') {
            return None;
        }
        // `Uri` accepts a colon that no valid port follows.
        let has_port = authority.as_str().len() > host.len();
        if has_port && authority.port_u16().is_none() {
            return None;
        }
        Some(Self {
            is_secure,
            authority,
            uri,
        })
    }

    /// Returns the origin as browsers write it: in lower case, without the default port.
    pub(crate) fn origin(&self) -> String {
        let (scheme, default_port) = match self.is_secure {
            true => ("https", ":443"),
            false => ("http", ":80"),
        };
        let authority = self.authority.as_str().to_ascii_lowercase();
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
        format!("{scheme}://{authority}")
    }

    /// Returns whether the URL is plain http on a host that others can reach.
    pub(crate) fn is_exposed(&self) -> bool {
        !self.is_secure && !self.is_loopback()
    }

    /// Returns whether the host is this machine, such as `localhost` and the names under it
    /// (RFC 6761).
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.authority.host();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let top = host.rsplit('.').next().unwrap_or_default();
        top.eq_ignore_ascii_case("localhost")
            || host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback())
    }
}
