//! The body of a mock's answer: whole, cut off, or one byte at a time.

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

/// The body of everything [`MockQq`](super::MockQq) answers.
#[derive(Debug, Default)]
pub struct MockBody {
    data: Bytes,
    manner: Manner,
}

/// How the bytes leave.
#[derive(Debug, Default)]
enum Manner {
    #[default]
    Whole,
    /// After `data` an error, though this many bytes more were promised.
    Cut { missing: u64, flushed: bool },
    /// One byte whenever the timer ends.
    Drip {
        every: Duration,
        timer: Pin<Box<Sleep>>,
    },
}

impl MockBody {
    /// The first half, then an error.
    pub(super) fn cut(mut self) -> Self {
        let whole = self.data.len();
        self.data.truncate(whole / 2);
        self.manner = Manner::Cut {
            missing: (whole - self.data.len()) as u64,
            flushed: false,
        };
        self
    }

    /// One byte at a time, each after a pause.
    pub(super) fn drip(mut self, every: Duration) -> Self {
        let timer = Box::pin(sleep(every));
        self.manner = Manner::Drip { every, timer };
        self
    }
}

impl<T: Into<Bytes>> From<T> for MockBody {
    fn from(data: T) -> Self {
        Self {
            data: data.into(),
            manner: Manner::Whole,
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
            let end = match &mut this.manner {
                // A server that meets the error at once throws away what it has not sent yet.
                Manner::Cut { flushed, .. } if !*flushed => {
                    *flushed = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Manner::Cut { .. } => Some(Err(CutOff)),
                Manner::Whole | Manner::Drip { .. } => None,
            };
            this.manner = Manner::Whole;
            return Poll::Ready(end);
        }
        let data = match &mut this.manner {
            Manner::Whole | Manner::Cut { .. } => std::mem::take(&mut this.data),
            Manner::Drip { every, timer } => {
                ready!(timer.as_mut().poll(cx));
                timer.set(sleep(*every));
                this.data.split_to(1)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && !matches!(self.manner, Manner::Cut { .. })
    }

    fn size_hint(&self) -> SizeHint {
        let missing = match self.manner {
            Manner::Cut { missing, .. } => missing,
            Manner::Whole | Manner::Drip { .. } => 0,
        };
        SizeHint::with_exact(self.data.len() as u64 + missing)
    }
}

/// The body ended before all of it was sent, as [`Fault::CutBody`](super::Fault::CutBody) ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mock cut the body off")
    }
}

impl Error for CutOff {}
