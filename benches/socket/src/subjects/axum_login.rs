//! Users and sessions on the server: in its memory, or on Redis.

use std::convert::Infallible;

use axum::{Router, routing::get};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend};
use tower_sessions_0_14::{MemoryStore, SessionManagerLayer, SessionStore};
use tower_sessions_redis_store::RedisStore;

use super::{NAME, PUBLIC, redis_store::connect, tower_sessions::signed_in};
use crate::{
    Result,
    user::{User, user},
};

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.openid.clone()
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.openid.as_bytes()
    }
}

/// A backend with one user.
#[derive(Clone)]
struct Users(User);

impl AuthnBackend for Users {
    type User = User;
    type Credentials = ();
    type Error = Infallible;

    async fn authenticate(&self, (): ()) -> std::result::Result<Option<User>, Infallible> {
        Ok(Some(self.0.clone()))
    }

    async fn get_user(&self, id: &String) -> std::result::Result<Option<User>, Infallible> {
        Ok((*id == self.0.openid).then(|| self.0.clone()))
    }
}

pub async fn in_memory() -> Result<(Router, String)> {
    on_store(MemoryStore::default()).await
}

pub async fn on_redis(url: &str) -> Result<(Router, String)> {
    on_store(RedisStore::new(connect(url).await?)).await
}

async fn on_store(store: impl SessionStore + Clone) -> Result<(Router, String)> {
    let sessions = SessionManagerLayer::new(store);
    let layer = AuthManagerLayerBuilder::new(Users(user()), sessions).build();
    let app = Router::new()
        .route(PUBLIC, get(async || "public"))
        .route(NAME, get(name))
        .route("/in", get(sign_in))
        .layer(layer);
    let cookie = signed_in(&app).await?;
    Ok((app, cookie))
}

async fn name(session: AuthSession<Users>) -> String {
    session.user.expect("a user").nickname
}

async fn sign_in(mut session: AuthSession<Users>) {
    session.login(&user()).await.expect("a store");
}
