//! The head of a request, borrowed.

use http::{Extensions, HeaderMap, HeaderValue, Method, Uri, header, request};

/// Everything of a request but its body.
#[derive(Clone, Copy)]
pub(crate) struct RequestHead<'r> {
    pub(crate) method: &'r Method,
    pub(crate) uri: &'r Uri,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) extensions: &'r Extensions,
}

impl<'r> RequestHead<'r> {
    pub(crate) fn of<B>(request: &'r http::Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    pub(crate) fn of_parts(parts: &'r request::Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }

    pub(crate) fn to_parts(self) -> request::Parts {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = self.method.clone();
        parts.uri = self.uri.clone();
        parts.headers = self.headers.clone();
        parts.extensions = self.extensions.clone();
        parts
    }

    /// Returns the host that the client asked for, if it is not that of the site: escaped, cut at
    /// 100 bytes, for the log alone.
    pub(crate) fn foreign_host(self, site_origin: &str) -> Option<String> {
        let header = self.headers.get(header::HOST).map(HeaderValue::as_bytes);
        let authority = self.uri.authority().map(|host| host.as_str().as_bytes());
        let host = authority.or(header).filter(|host| !host.is_empty())?;
        let (scheme, site_host) = site_origin.split_once("://")?;
        let port: &[u8] = if scheme == "https" { b":443" } else { b":80" };
        let without_port = host.strip_suffix(port).unwrap_or(host);
        if without_port.eq_ignore_ascii_case(site_host.as_bytes()) {
            return None;
        }
        let mut text = host.escape_ascii().to_string();
        text.truncate(100);
        Some(text)
    }

    pub(crate) fn query(self) -> &'r str {
        self.uri.query().unwrap_or_default()
    }
}
