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
/// several; implement the trait for another store. Set the list with
/// [`revocations`](crate::QqAuthLayerBuilder::revocations).
pub trait RevocationList: Send + Sync + 'static {
    /// `true` for a list in this process that answers without waiting. By default `false`.
    ///
    /// The layer asks a local list at every signed-in request, without a cache in between.
    const IS_LOCAL: bool = false;

    /// Returns the latest cutoff for a session: the later one of its own and its user's. For a
    /// subject without a session, returns the user's.
    ///
    /// Sessions whose stamp is at or before the cutoff are revoked. The future is dropped if it
    /// takes longer than [`revocation_timeout`](crate::QqAuthLayerBuilder::revocation_timeout).
    ///
    /// # Errors
    ///
    /// Returns an error if the list cannot be asked. The layer logs the error's text, takes the
    /// whole list for unavailable, and calls it again after a second. For a single entry that
    /// cannot be read, return a cutoff instead, such as the current time.
    fn latest_cutoff(
        &self,
        session: Subject,
    ) -> impl Future<Output = Result<Option<SystemTime>, BoxError>> + Send;

    /// Raises the cutoff of a subject and returns the stored value.
    ///
    /// Atomically stores the latest of `cutoff`, the list's own time and the stored cutoff plus 1
    /// millisecond, and keeps the entry for `keep_for`, or longer if it was to be kept longer.
    /// Every later [`latest_cutoff`](Self::latest_cutoff) sees it.
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

    /// Raises the cutoff of the user of a session that is not revoked, and returns the stored
    /// value.
    ///
    /// The layer calls it if a session ends all other sessions of its user. Atomically:
    ///
    /// - If the latest cutoff for the session is at or after `stamp`, stores nothing and
    ///   returns `None`.
    /// - Otherwise raises the cutoff of the user as [`raise_cutoff`](Self::raise_cutoff) does, to
    ///   `stamp` at least.
    ///
    /// So of two calls for one session, one returns `None`.
    ///
    /// # Errors
    ///
    /// Returns an error if the cutoff may not have been stored, or, with nothing stored, if an
    /// entry of the user or session cannot be read: the session may be revoked. The layer logs the
    /// error's text.
    fn raise_user_cutoff(
        &self,
        session: Subject,
        stamp: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> impl Future<Output = Result<Option<SystemTime>, BoxError>> + Send;
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

    fn raise_user_cutoff(
        &self,
        session: Subject,
        stamp: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> ListFuture<'_, Option<SystemTime>>;
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

    fn raise_user_cutoff(
        &self,
        session: Subject,
        stamp: SystemTime,
        cutoff: SystemTime,
        keep_for: Duration,
    ) -> ListFuture<'_, Option<SystemTime>> {
        Box::pin(RevocationList::raise_user_cutoff(
            self, session, stamp, cutoff, keep_for,
        ))
    }
}

/// The error of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationError {
    /// The layer has no revocation list. Set one with
    /// [`revocations`](crate::QqAuthLayerBuilder::revocations).
    NoList,
    /// The revocation list failed, and the revocation may not be on it. Try again.
    Failed,
    /// The session that was to end the other ones has ended already, or another request has ended
    /// it at the same time.
    SessionEnded,
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoList => {
                "there is no revocation list: set one with `QqAuthLayerBuilder::revocations`"
            }
            Self::Failed => "the revocation list failed: try again",
            Self::SessionEnded => "the session has ended: sign in again",
        })
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
