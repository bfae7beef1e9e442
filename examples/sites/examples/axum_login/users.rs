//! The users table, and the two ways in: a password and QQ.

use std::fmt;

use axum_login::{AuthUser, AuthnBackend};
use password_auth::{generate_hash, verify_password};
use serde::Deserialize;
use sqlx::{
    Error, FromRow, Row, SqlitePool,
    error::ErrorKind,
    sqlite::{SqlitePoolOptions, SqliteRow},
};
use tokio::task::spawn_blocking;
use tower_qq_auth::{OpenId, QqUser};

/// The constraints decide about requests that arrive at the same time: a QQ user belongs to one
/// account, and every account keeps a way in.
const TABLE: &str = "\
    CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        name TEXT UNIQUE,
        password TEXT,
        openid TEXT UNIQUE,
        nickname TEXT NOT NULL,
        CHECK (name IS NOT NULL AND password IS NOT NULL OR openid IS NOT NULL)
    ) STRICT";

#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) nickname: String,
    /// The Argon2 hash.
    pub(crate) password: Option<String>,
    pub(crate) openid: Option<String>,
    ways_in: String,
}

impl FromRow<'_, SqliteRow> for User {
    fn from_row(row: &SqliteRow) -> Result<Self, Error> {
        let password: Option<String> = row.try_get("password")?;
        let openid: Option<String> = row.try_get("openid")?;
        Ok(Self {
            id: row.try_get("id")?,
            nickname: row.try_get("nickname")?,
            ways_in: format!("{password:?} {openid:?}"),
            password,
            openid,
        })
    }
}

/// Omits the hash: axum-login logs users at the level `debug`.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("User");
        output.field("id", &self.id).finish_non_exhaustive()
    }
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    /// Ends all sessions of the user if a way in changes, not only if the password does: the reason
    /// to unlink QQ may be that it was stolen.
    fn session_auth_hash(&self) -> &[u8] {
        self.ways_in.as_bytes()
    }
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Users(SqlitePool);

impl AuthnBackend for Users {
    type User = User;
    type Credentials = Credentials;
    type Error = Error;

    async fn authenticate(&self, credentials: Credentials) -> Result<Option<User>, Error> {
        let Credentials { name, password } = credentials;
        let user: Option<User> = sqlx::query_as("SELECT * FROM users WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.0)
            .await?;
        // Hashes are slow on purpose, so they must not block a thread that serves requests.
        let check = spawn_blocking(move || {
            let hash = user.as_ref().and_then(|user| user.password.as_deref());
            let is_right = match hash {
                Some(hash) => verify_password(password, hash).is_ok(),
                None => {
                    // Takes as long as a check, so that the time does not tell which names exist.
                    generate_hash(password);
                    false
                }
            };
            user.filter(|_| is_right)
        });
        Ok(check.await.expect("a check of a password does not panic"))
    }

    async fn get_user(&self, id: &i64) -> Result<Option<User>, Error> {
        sqlx::query_as("SELECT * FROM users WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.0)
            .await
    }
}

impl Users {
    /// Opens a database in memory, which is lost with its only connection.
    pub(crate) async fn open() -> Result<Self, Error> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect("sqlite::memory:")
            .await?;
        sqlx::query(TABLE).execute(&pool).await?;
        Ok(Self(pool))
    }

    /// Adds the users `ann` and `bob`, and returns their password, which is new at each start.
    pub(crate) async fn add_demo_users(&self) -> Result<String, Error> {
        let password: String = sqlx::query_scalar("SELECT lower(hex(randomblob(8)))")
            .fetch_one(&self.0)
            .await?;
        sqlx::query(
            "INSERT INTO users (name, nickname, password)
             VALUES ('ann', 'ann', ?1), ('bob', 'bob', ?1)",
        )
        .bind(generate_hash(&password))
        .execute(&self.0)
        .await?;
        Ok(password)
    }

    /// Returns the account of a QQ user. At the first login it is a new one without a password.
    pub(crate) async fn find_or_add(&self, user: &QqUser) -> Result<User, Error> {
        sqlx::query_as(
            "INSERT INTO users (openid, nickname) VALUES (?, ?)
             ON CONFLICT (openid) DO UPDATE SET openid = excluded.openid
             RETURNING *",
        )
        .bind(user.openid().as_str())
        .bind(user.nickname())
        .fetch_one(&self.0)
        .await
    }

    /// Links a QQ user to an account. Returns `None` if either has a link to another.
    pub(crate) async fn link(&self, id: i64, openid: &OpenId) -> Result<Option<User>, Error> {
        let linked = sqlx::query_as(
            "UPDATE users SET openid = ?2 WHERE id = ?1 AND coalesce(openid, ?2) = ?2 RETURNING *",
        )
        .bind(id)
        .bind(openid.as_str())
        .fetch_optional(&self.0)
        .await;
        none_if(ErrorKind::UniqueViolation, linked)
    }

    /// Unlinks QQ from an account. Returns `None` if it is the only way in.
    pub(crate) async fn unlink(&self, id: i64) -> Result<Option<User>, Error> {
        let unlinked = sqlx::query_as("UPDATE users SET openid = NULL WHERE id = ? RETURNING *")
            .bind(id)
            .fetch_optional(&self.0)
            .await;
        none_if(ErrorKind::CheckViolation, unlinked)
    }
}

/// Takes the violation of a constraint for an answer.
fn none_if(
    violation: ErrorKind,
    result: Result<Option<User>, Error>,
) -> Result<Option<User>, Error> {
    match result {
        Err(Error::Database(error)) if error.kind() == violation => Ok(None),
        result => result,
    }
}
