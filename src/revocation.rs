//! Revoking sessions before they expire.
//!
//! 1. A revocation is a cutoff: sessions of its [`Subject`] that started up to then no longer
//!    count.
//! 2. A subject is one session, or all sessions of one user at one QQ app. It reveals neither: a
//!    session is a random number, and a user is a digest of app id and openid.
//! 3. Cutoffs only rise, and a list keeps them for as long as such a session could live.
//! 4. The layer asks the list at every signed-in request. In front of a list that is not local it
//!    caches answers for [`revocation_freshness`]. While the list is unavailable, answers from the
//!    last [`revocation_grace`] still count. Sessions without one are treated as signed out on
//!    public pages, and get 424 where a page needs a user.
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
