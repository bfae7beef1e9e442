//! Picks a site by the host of a request.

use http::{Request, header, uri::Authority};

/// Returns the number of the site at the host of this request. A request to any other host gets the
/// number after the last one.
pub(crate) fn pick<B>(request: &Request<B>, sites: &[&str]) -> usize {
    let host = host(request);
    let site = sites.iter().position(|site| Some(*site) == host.as_deref());
    site.unwrap_or(sites.len())
}

/// Returns the host of a request in lower case, without a port and without the dot at the end of a
/// full name.
fn host<B>(request: &Request<B>) -> Option<String> {
    let authority = match request.uri().authority() {
        // `:authority` of HTTP/2, or an absolute URL in the request line.
        Some(authority) => authority.clone(),
        None => {
            let mut hosts = request.headers().get_all(header::HOST).iter();
            let (Some(host), None) = (hosts.next(), hosts.next()) else {
                return None;
            };
            Authority::try_from(host.as_bytes()).ok()?
        }
    };
    let host = authority.host();
    Some(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())
}
