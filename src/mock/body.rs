//! The body of the mock's responses: whole, cut off, or one byte at a time.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The response body of [`MockQq`](crate::mock::MockQq).
#[derive(Debug, Default)]
pub struct MockBody {
    data: Bytes,
    mode: SendMode,
}

/// The way the bytes are sent.
#[derive(Debug, Default)]
enum SendMode {
    #[default]
    Whole,
    /// Fails after `data`, although `missing` more bytes were announced.
    Cut { missing: u64, has_yielded: bool },
    /// Sends one byte each time the timer fires.
    Drip {
        interval: Duration,
        timer: Pin<Box<Sleep>>,
    },
}

impl MockBody {
    /// Keeps the first half of the data and ends it with an error.
    pub(super) fn cut(mut self) -> Self {
        let length = self.data.len();
        self.data.truncate(length / 2);
        self.mode = SendMode::Cut {
            missing: (length - self.data.len()) as u64,
            has_yielded: false,
        };
        self
    }

    /// Sends one byte at a time, each after a pause of `interval`.
    pub(super) fn drip(mut self, interval: Duration) -> Self {
        let timer = Box::pin(sleep(interval));
        self.mode = SendMode::Drip { interval, timer };
        self
    }
}

impl<T: Into<Bytes>> From<T> for MockBody {
    fn from(data: T) -> Self {
        Self {
            data: data.into(),
            mode: SendMode::Whole,
        }
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let this = self.get_mut();
        if this.data.is_empty() {
            let end = match &mut this.mode {
                // Lets the server flush first: on an error, it discards unsent data.
                SendMode::Cut { has_yielded, .. } if !*has_yielded => {
                    *has_yielded = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                SendMode::Cut { .. } => Some(Err(CutOff)),
                SendMode::Whole | SendMode::Drip { .. } => None,
            };
            this.mode = SendMode::Whole;
            return Poll::Ready(end);
        }
        let data = match &mut this.mode {
            SendMode::Whole | SendMode::Cut { .. } => std::mem::take(&mut this.data),
            SendMode::Drip { interval, timer } => {
                ready!(timer.as_mut().poll(cx));
                timer.set(sleep(*interval));
                this.data.split_to(1)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && !matches!(self.mode, SendMode::Cut { .. })
    }

    fn size_hint(&self) -> SizeHint {
        let missing = match self.mode {
            SendMode::Cut { missing, .. } => missing,
            SendMode::Whole | SendMode::Drip { .. } => 0,
        };
        SizeHint::with_exact(self.data.len() as u64 + missing)
    }
}

/// The error that ends a body cut off by [`Fault::CutBody`](crate::mock::Fault::CutBody).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mock cut the body off")
    }
}

impl Error for CutOff {}
