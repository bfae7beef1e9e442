//! Users and sessions in the memory of the server.

use std::convert::Infallible;

use axum::{Router, routing::get};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend};
use tower_sessions_0_14::{MemoryStore, SessionManagerLayer};

use crate::{
    MINE, PUBLIC, Subject,
    tower_sessions::signed_in,
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

    async fn authenticate(&self, (): ()) -> Result<Option<User>, Infallible> {
        Ok(Some(self.0.clone()))
    }

    async fn get_user(&self, id: &String) -> Result<Option<User>, Infallible> {
        Ok((*id == self.0.openid).then(|| self.0.clone()))
    }
}

pub async fn subject() -> Subject {
    let sessions = SessionManagerLayer::new(MemoryStore::default());
    let layer = AuthManagerLayerBuilder::new(Users(user()), sessions).build();
    let app = Router::new()
        .route(PUBLIC, get(async || "public"))
        .route(MINE, get(mine))
        .route("/in", get(sign_in))
        .layer(layer);
    let cookie = signed_in(&app).await;
    Subject::new("axum-login, in memory", app, cookie)
}

async fn mine(session: AuthSession<Users>) -> String {
    session.user.expect("a user").nickname
}

async fn sign_in(mut session: AuthSession<Users>) {
    session.login(&user()).await.expect("a store");
}
