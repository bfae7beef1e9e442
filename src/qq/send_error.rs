//! The reason why a request to QQ got no response, and whether QQ may have processed it.

use std::{error::Error, fmt, io};

use h2::Reason;
use hyper_util::client::legacy;

use super::upstream::UpstreamError;

/// An error of the HTTP client instead of a response.
#[derive(Debug)]
pub(super) struct SendError {
    error: reqwest::Error,
    has_proxy: bool,
    /// QQ has refused the same request before.
    was_refused: bool,
}

impl SendError {
    pub(super) fn new(error: reqwest::Error, has_proxy: bool, was_refused: bool) -> Self {
        Self {
            error,
            has_proxy,
            was_refused,
        }
    }

    /// Returns whether QQ says that it did not process the request: by a reset with REFUSED_STREAM,
    /// or by a GOAWAY without error.
    ///
    /// h2 ends only the streams above the last one of a GOAWAY with this error. The streams up to
    /// it go on, and end with an I/O error if the connection breaks.
    ///
    /// hyper 1.12 leaves one gap, of nanoseconds: a GOAWAY for later streams that arrives while it
    /// hands a request over ends that request the same way. QQ refuses a code that comes twice.
    pub(super) fn is_refused(&self) -> bool {
        find::<h2::Error>(&self.error).is_some_and(|error| match error.reason() {
            Some(Reason::REFUSED_STREAM) => error.is_remote() && error.is_reset(),
            Some(Reason::NO_ERROR) => error.is_remote() && error.is_go_away(),
            _ => false,
        })
    }

    /// Returns whether the request was given to a connection that closed before it was written.
    fn is_unwritten(&self) -> bool {
        find::<hyper::Error>(&self.error).is_some_and(hyper::Error::is_canceled)
    }

    /// Returns whether hyper dropped the request together with its HTTP/2 connection.
    ///
    /// hyper 1.12 reports a user error if the connection ends while a request waits for its stream
    /// to open. The stream may have opened in that instant, so QQ can get a code twice; it refuses
    /// the second.
    fn is_dropped(&self) -> bool {
        find::<hyper::Error>(&self.error).is_some_and(hyper::Error::is_user)
    }

    /// Returns whether QQ has not processed the request. [`is_refused`](Self::is_refused) and
    /// [`is_dropped`](Self::is_dropped) each have a rare exception.
    pub(super) fn is_unprocessed(&self) -> bool {
        self.is_refused() || self.is_unwritten() || self.is_dropped()
    }

    /// Returns whether no byte of the request has left this process.
    fn is_unsent(&self) -> bool {
        !self.was_refused && (self.error.is_connect() || self.is_unwritten())
    }

    /// Returns whether the proxy failed, and not TLS with QQ behind it.
    fn is_of_proxy(&self) -> bool {
        let of_tls = find::<legacy::Error>(&self.error)
            .and_then(Error::source)
            .is_some_and(|cause| cause.is::<io::Error>());
        self.has_proxy && self.error.is_connect() && !of_tls
    }

    pub(super) fn explain(&self) -> UpstreamError {
        let error = match self.error.is_timeout() && !self.is_of_proxy() {
            true => UpstreamError::TimedOut,
            false => UpstreamError::Failed(self.to_string()),
        };
        match self.is_unsent() {
            true => UpstreamError::Unsent(Box::new(error)),
            false => error,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_of_proxy() {
            f.write_str("the proxy is unreachable or does not connect: ")?;
        }
        f.write_str(&root_cause(&self.error))
    }
}

impl Error for SendError {}

/// Returns the innermost cause, such as "connection refused": the outer ones print the whole URL.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let cause = causes(error).last().unwrap_or(error);
    // The text of a GOAWAY comes from the server.
    let reason = cause
        .downcast_ref::<h2::Error>()
        .and_then(h2::Error::reason);
    match reason {
        Some(reason) => format!("HTTP/2 error: {reason}"),
        None if cause.is::<reqwest::Error>() => "the request could not be sent".into(),
        None => cause.to_string(),
    }
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(<dyn Error>::downcast_ref)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
