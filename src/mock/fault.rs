//! Faults to order.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::Endpoint;

/// What goes wrong, ordered with [`MockQq::fault`](super::MockQq::fault).
///
/// Any [`http::Response`] is a fault as well, the shortest way to a status with headers:
///
/// ```
/// use http::Response;
/// use tower_qq_auth::mock::{Endpoint, MockQq};
///
/// let qq = MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
/// let busy = Response::builder().status(503).header("retry-after", "7");
/// qq.fault(Endpoint::Token, 1, busy.body("").unwrap());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// QQ's error code, at status 200 and in the shape the endpoint answers in.
    Code(i32),
    /// The right answer, but only after this time (by [`tokio::time`]).
    Latency(Duration),
    /// No answer, ever.
    Silence,
    /// The right answer, with its full length announced and half of it sent. Then the body fails;
    /// over a socket the connection breaks.
    CutBody,
    /// The right answer one byte at a time, each after this time (by [`tokio::time`]).
    Drip(Duration),
    /// A bare status with the page of a gateway.
    Status(StatusCode),
    /// Exactly this, without looking at the request.
    Raw {
        /// The status.
        status: StatusCode,
        /// All headers; none is added.
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

/// The faults to come, in the order they were ordered.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queues: HashMap<Endpoint, VecDeque<(usize, Fault)>>,
}

impl Faults {
    pub(super) fn push(&mut self, endpoint: Endpoint, calls: usize, fault: Fault) {
        if calls > 0 {
            let queue = self.queues.entry(endpoint).or_default();
            queue.push_back((calls, fault));
        }
    }

    /// The fault of this call, if one was ordered.
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
