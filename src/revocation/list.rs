//! The trait of revocation lists.

use std::{
    fmt,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use tower::BoxError;

use super::subject::Subject;

/// A list of revoked sessions, shared by all machines of a site.
///
/// [`InMemoryRevocations`](super::InMemoryRevocations) serves one machine, `RedisRevocations`
/// several. Set it with [`revocations`](crate::QqAuthLayerBuilder::revocations).
pub trait RevocationList: Send + Sync + 'static {
    /// `true` for a list in this process that answers without waiting. By default `false`.
    ///
    /// The layer asks a local list at every signed-in request, without a cache in between.
    const IS_LOCAL: bool = false;

    /// Returns the latest cutoff for a session: the later one of its own and its user's.
    ///
    /// Sessions that started up to the cutoff are revoked. The future is dropped if it takes longer
    /// than [`revocation_timeout`](crate::QqAuthLayerBuilder::revocation_timeout).
    ///
    /// # Errors
    ///
    /// Returns an error if the list cannot be asked. The layer logs the error's text, takes the
    /// whole list for unavailable, and calls it again after a second. For a single entry that
    /// cannot be read, return a cutoff instead.
    fn latest_cutoff(
        &self,
        session: Subject,
    ) -> impl Future<Output = Result<Option<SystemTime>, BoxError>> + Send;

    /// Raises the cutoff of a subject and returns the stored value.
    ///
    /// Atomically stores the later one of `cutoff` and the stored cutoff plus 1 millisecond, and
    /// keeps the entry for `keep_for`, or longer if it was to be kept longer. Every later
    /// [`latest_cutoff`](Self::latest_cutoff) sees it.
    ///
    /// # Errors
    ///
    /// Returns an error if the cutoff may not have been stored. The layer logs the error's text.
    fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> impl Future<Output = Result<SystemTime, BoxError>> + Send;
}

type ListFuture<'l, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'l>>;

/// Any [`RevocationList`], without its type.
pub(crate) trait ErasedList: Send + Sync {
    fn is_local(&self) -> bool;

    /// Returns the answer of a local list, without a box.
    fn local_cutoff(&self, session: Subject) -> Option<Result<Option<SystemTime>, BoxError>>;

    fn latest_cutoff(&self, session: Subject) -> ListFuture<'_, Option<SystemTime>>;

    fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> ListFuture<'_, SystemTime>;
}

impl<L: RevocationList> ErasedList for L {
    fn is_local(&self) -> bool {
        L::IS_LOCAL
    }

    fn local_cutoff(&self, session: Subject) -> Option<Result<Option<SystemTime>, BoxError>> {
        if !L::IS_LOCAL {
            return None;
        }
        let answer = pin!(RevocationList::latest_cutoff(self, session));
        match answer.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn latest_cutoff(&self, session: Subject) -> ListFuture<'_, Option<SystemTime>> {
        Box::pin(RevocationList::latest_cutoff(self, session))
    }

    fn raise_cutoff(
        &self,
        subject: Subject,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> ListFuture<'_, SystemTime> {
        Box::pin(RevocationList::raise_cutoff(
            self, subject, cutoff, keep_for,
        ))
    }
}

/// The error for a revocation that may not be on the list.
#[derive(Debug)]
pub struct RevocationError(&'static str);

impl RevocationError {
    pub(crate) fn new(text: &'static str) -> Self {
        Self(text)
    }
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for RevocationError {}

/// The error of an entry that cannot be read. It says nothing about the list as a whole.
#[derive(Debug)]
pub(crate) struct UnreadableEntry;

impl fmt::Display for UnreadableEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry is not a timestamp")
    }
}

impl std::error::Error for UnreadableEntry {}
