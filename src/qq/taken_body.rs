//! The empty body of a request, which notes when a connection takes the request.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

pub(super) struct TakenBody(Arc<AtomicBool>);

impl TakenBody {
    /// Returns the body, and what becomes `true` once a connection asks for it.
    pub(super) fn new() -> (Self, Arc<AtomicBool>) {
        let taken = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&taken)), taken)
    }
}

impl Body for TakenBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.store(true, Relaxed);
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.0.store(true, Relaxed);
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}
