//! Revoking sessions before they expire.
//!
//! 1. A revocation is a cutoff of its [`Subject`]. Each session has a stamp, at first the time of
//!    its login. Sessions whose stamp is at or before the cutoff are revoked.
//! 2. A subject is one session, or all sessions of one user at one QQ app. A session is a random
//!    number, a user a digest of app id and openid: a list shows no openid, but a reader who knows
//!    one finds its entry. Neither depends on the session keys.
//! 3. Cutoffs only rise, and a list keeps them for as long as such a session could live.
//! 4. A login reads the cutoff of its user before it asks the app, and again before it sets the
//!    cookie. A change refuses it, so a revocation beats every login that asked the app before. The
//!    stamp is later than the cutoff that was read, so the next login counts at once.
//! 5. A cutoff is 5 minutes later than the revocation, so it also reaches sessions of a machine
//!    whose clock is ahead by so much.
//! 6. The layer asks the list at every signed-in request. In front of a list that is not local it
//!    caches answers for [`revocation_freshness`]. While the list is unavailable, answers from the
//!    last [`revocation_grace`] still count, and a revocation however old. Sessions without one are
//!    treated as signed out on public pages, and get 424 where a page needs a user.
//!
//! [`revocation_freshness`]: crate::QqAuthLayerBuilder::revocation_freshness
//! [`revocation_grace`]: crate::QqAuthLayerBuilder::revocation_grace

pub(crate) mod cache;
pub(crate) mod list;
mod memory;
#[cfg(feature = "redis")]
mod redis;
pub(crate) mod subject;

#[cfg(feature = "redis")]
pub use self::redis::RedisRevocations;
pub use self::{
    list::{RevocationError, RevocationList},
    memory::InMemoryRevocations,
    subject::Subject,
};
