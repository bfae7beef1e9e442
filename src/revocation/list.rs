//! Sessions that are to end before their time.
//!
//! 1. A revocation is a time: sessions of its subject that began up to then are no longer good.
//! 2. A subject is one session, or one user at one QQ app. Neither says who it is: the one is a random number, the other
//!    a digest of the openid under the session key.
//! 3. It has to be kept for as long as such a session could live.
//! 4. A list that cannot be asked in time is asked for what it knew; without that, nobody is taken for signed in.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tower::BoxError;

/// A list of revoked sessions, shared by all machines of a site.
///
/// There are `InMemoryRevocations` for one machine and `RedisRevocations` for more; see
/// [`QqAuthLayer::revocations`](crate::QqAuthLayer::revocations).
pub trait RevocationList: Send + Sync + 'static {
    /// Up to when sessions like this one are revoked.
    ///
    /// Called for every request of somebody who is signed in: it must not block. What it would have to wait for goes into
    /// [`LookUp::Asking`]. A panic in it is one of that request, as in a handler of the app, and lets nobody in.
    fn look_up(&self, session: SessionIds) -> LookUp;

    /// Adds an entry. It must be seen by every later look-up, and on other machines within seconds.
    fn revoke(&self, revocation: Revocation) -> Answer<()>;
}

/// What a list will have to say.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// What a list has to say of a session.
pub enum LookUp {
    /// The latest time up to which sessions of its subjects are revoked, if any are.
    Known(Option<SystemTime>),
    /// That it has to ask somebody else.
    Asking {
        /// What it knew lately, for the case that there is no answer in time.
        stale: Option<Option<SystemTime>>,
        /// The answer. It may be dropped before it is there.
        answer: Answer<Option<SystemTime>>,
    },
}

impl fmt::Debug for LookUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(cutoff) => f.debug_tuple("Known").field(cutoff).finish(),
            Self::Asking { stale, .. } => {
                let mut asking = f.debug_struct("Asking");
                asking.field("stale", stale).finish_non_exhaustive()
            }
        }
    }
}

/// An entry that cannot be read. It says nothing of the list as a whole.
#[cfg(feature = "revocation")]
#[derive(Debug)]
pub(crate) struct BadEntry;

#[cfg(feature = "revocation")]
impl fmt::Display for BadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry is no time")
    }
}

#[cfg(feature = "revocation")]
impl std::error::Error for BadEntry {}

/// 16 bytes that stand for a session or a user, and say nothing about them. `Display` writes them as hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RevocationId(pub(crate) [u8; 16]);

impl fmt::Display for RevocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RevocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationId({self})")
    }
}

/// The two subjects by which a session can be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionIds {
    pub(crate) user: RevocationId,
    pub(crate) session: RevocationId,
}

impl SessionIds {
    /// Whose session it is.
    pub fn user(&self) -> RevocationId {
        self.user
    }

    /// The session itself.
    pub fn session(&self) -> RevocationId {
        self.session
    }
}

/// An entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub(crate) user: RevocationId,
    pub(crate) session: Option<RevocationId>,
    pub(crate) cutoff: SystemTime,
    pub(crate) keep: Duration,
}

impl Revocation {
    /// Whose sessions it is about.
    pub fn user(&self) -> RevocationId {
        self.user
    }

    /// The one session that it is about; `None` for all of that user.
    pub fn session(&self) -> Option<RevocationId> {
        self.session
    }

    /// Sessions that began up to this time are revoked.
    pub fn cutoff(&self) -> SystemTime {
        self.cutoff
    }

    /// How long the entry has to be kept.
    pub fn keep(&self) -> Duration {
        self.keep
    }
}

/// A list, if there is one, and what to do while it cannot be asked.
#[derive(Clone)]
pub(crate) struct Revocations {
    pub(crate) list: Option<Arc<dyn RevocationList>>,
    pub(crate) timeout: Duration,
    pub(crate) accepts_unverified: bool,
}

/// An entry that is not on the list, or may not be.
///
/// It says that the list failed, or that there is none.
#[derive(Debug)]
pub struct RevocationError(&'static str);

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for RevocationError {}

/// What came of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Revoked,
    /// Nobody can say, and the app does not want to take it on trust.
    Unverified,
}

/// What will come of a look-up.
pub(crate) enum Verifying {
    Done(Standing),
    Waiting(Pin<Box<dyn Future<Output = Standing> + Send>>),
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            list: None,
            timeout: Duration::from_millis(500),
            accepts_unverified: false,
        }
    }
}

impl Revocations {
    /// Whether a session that began at this time is still good.
    pub(crate) fn verify(&self, session: SessionIds, began: SystemTime) -> Verifying {
        let standing = move |cutoff: Option<SystemTime>| match cutoff {
            Some(cutoff) if began <= cutoff => Standing::Revoked,
            _ => Standing::Good,
        };
        let Some(list) = &self.list else {
            return Verifying::Done(Standing::Good);
        };
        let (stale, answer) = match list.look_up(session) {
            LookUp::Known(cutoff) => return Verifying::Done(standing(cutoff)),
            LookUp::Asking { stale, answer } => (stale, answer),
        };
        let (timeout, accepts_unverified) = (self.timeout, self.accepts_unverified);
        Verifying::Waiting(Box::pin(async move {
            let why = match in_time(timeout, answer).await {
                Ok(cutoff) => return standing(cutoff),
                Err(why) => why,
            };
            match stale {
                Some(cutoff) => standing(cutoff),
                None if accepts_unverified => {
                    tracing::warn!("a session is accepted without the revocation list: {why}");
                    Standing::Good
                }
                None => {
                    tracing::error!(
                        "a session cannot be checked against the revocation list: {why}"
                    );
                    Standing::Unverified
                }
            }
        }))
    }

    /// Puts these on the list, each in time or not at all.
    pub(crate) async fn revoke(
        &self,
        revocations: impl Iterator<Item = Revocation>,
    ) -> Result<(), RevocationError> {
        let no_list =
            RevocationError("there is no revocation list: set one with `QqAuthLayer::revocations`");
        let list = self.list.as_ref().ok_or(no_list)?;
        for revocation in revocations {
            if let Err(why) = in_time(self.timeout, list.revoke(revocation)).await {
                tracing::error!("a session could not be put on the revocation list: {why}");
                return Err(RevocationError("the revocation list failed: try again"));
            }
        }
        Ok(())
    }
}

/// What a list answers, or why it does not, as one line of a log.
async fn in_time<T>(limit: Duration, answer: Answer<T>) -> Result<T, String> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|why| why.to_string().escape_debug().to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
