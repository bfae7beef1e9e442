//! The apps that are compared. Each has the same three pages.

use axum::Router;

use crate::Result;

mod axum_login;
mod bare;
mod ours;
mod redis_store;
mod tower_sessions;

/// A page that does not use the session.
pub const PUBLIC: &str = "/public";
/// A page that shows the nickname of the user. Its response is private to the user, as this crate
/// makes it.
pub const MINE: &str = "/mine";
/// The same without a word on caching, as other crates leave it.
pub const NAME: &str = "/name";

#[derive(Clone, Copy)]
pub enum Subject {
    Bare,
    BareWithId,
    Identity,
    Ours,
    OursWithList,
    OursWithRedis,
    TowerSessions,
    TowerSessionsRedis,
    AxumLogin,
    AxumLoginRedis,
}

impl Subject {
    pub fn needs_redis(self) -> bool {
        matches!(
            self,
            Self::OursWithRedis | Self::TowerSessionsRedis | Self::AxumLoginRedis
        )
    }

    /// Returns the app, and the cookie of a user who is signed in to it.
    pub async fn app(self, redis: &str) -> Result<(Router, String)> {
        match self {
            Self::Bare => Ok((bare::app(), ours::cookie()?)),
            Self::BareWithId => Ok((bare::app(), bare::ID.into())),
            Self::Identity => Ok((bare::with_identity(), ours::cookie()?)),
            Self::Ours => ours::app(),
            Self::OursWithList => ours::with_list(),
            Self::OursWithRedis => ours::with_redis(redis),
            Self::TowerSessions => tower_sessions::in_memory().await,
            Self::TowerSessionsRedis => tower_sessions::on_redis(redis).await,
            Self::AxumLogin => axum_login::in_memory().await,
            Self::AxumLoginRedis => axum_login::on_redis(redis).await,
        }
    }
}
