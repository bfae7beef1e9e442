//! Faults and their queues.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::journal::Endpoint;

/// A fault that [`MockQq::fault`](crate::mock::MockQq::fault) schedules.
///
/// An [`http::Response`] converts into a fault, which is the shortest way to set a status with
/// headers:
///
/// ```
/// use http::Response;
/// use tower_qq_auth::mock::{Endpoint, MockQq};
///
/// let qq = MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
/// let busy = Response::builder().status(503).header("retry-after", "7");
/// qq.fault(Endpoint::Token, 1, busy.body("").unwrap());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Sends a QQ error code with status 200, in the endpoint's shape.
    Code(i32),
    /// Sends the normal response after this delay, measured by [`tokio::time`].
    Latency(Duration),
    /// Never responds.
    Silence,
    /// Sends the normal response with its full `Content-Length`, but only the first half of its
    /// body. Then the body fails; over a socket, the connection breaks.
    CutBody,
    /// Sends the normal response one byte at a time, each after this delay, measured by
    /// [`tokio::time`].
    Drip(Duration),
    /// Sends this status without headers; an error status has an HTML page like that of a gateway.
    Status(StatusCode),
    /// Sends exactly this response without checking the request.
    Raw {
        /// The status.
        status: StatusCode,
        /// The headers; the mock adds none.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
    },
}

impl<T: Into<Bytes>> From<Response<T>> for Fault {
    fn from(response: Response<T>) -> Self {
        let (parts, body) = response.into_parts();
        Self::Raw {
            status: parts.status,
            headers: parts.headers,
            body: body.into(),
        }
    }
}

/// The scheduled faults of each endpoint, in order.
#[derive(Debug, Default)]
pub(super) struct FaultQueues {
    queues: HashMap<Endpoint, VecDeque<(usize, Fault)>>,
}

impl FaultQueues {
    pub(super) fn push(&mut self, endpoint: Endpoint, calls: usize, fault: Fault) {
        if calls > 0 {
            let queue = self.queues.entry(endpoint).or_default();
            queue.push_back((calls, fault));
        }
    }

    /// Takes the fault scheduled for the current call, if any.
    pub(super) fn take(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let queue = self.queues.get_mut(&endpoint)?;
        let (calls, fault) = queue.front_mut()?;
        *calls -= 1;
        if *calls > 0 {
            return Some(fault.clone());
        }
        queue.pop_front().map(|(_, fault)| fault)
    }

    pub(super) fn clear(&mut self) {
        self.queues.clear();
    }
}
