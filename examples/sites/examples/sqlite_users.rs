//! A site with a users table. It records each login before it counts, welcomes new users, and
//! refuses banned ones.
//!
//! ```text
//! DATABASE_URL=sqlite:users.db cargo run -p sites --example sqlite_users
//! sqlite3 users.db "UPDATE users SET banned = TRUE WHERE id = 1"
//! ```
//!
//! Without `DATABASE_URL` the table is in memory. It reads `LISTEN` and the variables of QQ like
//! the quickstart.

use std::{env, error::Error, str::FromStr};

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use sites::{Server, page, user_card};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tower_qq_auth::{OpenId, QqAuthLayer, QqLogin, QqUser, Verdict};

const TABLE: &str = "\
    CREATE TABLE IF NOT EXISTS users (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        openid TEXT NOT NULL UNIQUE,
        nickname TEXT,
        avatar TEXT,
        logins INTEGER NOT NULL DEFAULT 1,
        banned INTEGER NOT NULL DEFAULT FALSE
    ) STRICT";

/// Records a login and decides about it. If this fails, the user is not signed in.
async fn admit(pool: &SqlitePool, login: QqLogin) -> Result<Verdict, sqlx::Error> {
    let user = login.user();
    // QQ does not always return a profile: keep the values of the last one then.
    let nickname = user.profile_complete().then(|| user.nickname());
    let mut transaction = pool.begin().await?;
    let (logins, banned): (i64, bool) = sqlx::query_as(
        "INSERT INTO users (openid, nickname, avatar) VALUES (?, ?, ?)
         ON CONFLICT (openid) DO UPDATE SET
             nickname = coalesce(excluded.nickname, nickname),
             avatar = coalesce(excluded.avatar, avatar),
             logins = logins + 1
         RETURNING logins, banned",
    )
    .bind(user.openid().as_str())
    .bind(nickname)
    .bind(user.avatar())
    .fetch_one(&mut *transaction)
    .await?;
    if banned {
        transaction.rollback().await?;
        return Ok(Verdict::refuse("该账号已被停用。This account is closed."));
    }
    transaction.commit().await?;
    Ok(match logins {
        1 => Verdict::allow().redirect_to("/welcome"),
        _ => Verdict::allow(),
    })
}

/// Public. Looks the user up at every request, so that a ban takes effect at once.
async fn home(
    State(pool): State<SqlitePool>,
    user: Option<QqUser>,
) -> Result<Response, StatusCode> {
    let known = match user {
        Some(user) => find(&pool, user.openid()).await.map_err(|error| {
            tracing::error!("cannot look up a user: {error}");
            StatusCode::INTERNAL_SERVER_ERROR
        })?,
        None => None,
    };
    Ok(page(&match known {
        None => SIGNED_OUT.into(),
        Some((id, nickname, avatar)) => {
            let id = format!("用户编号 user id {id}");
            let card = user_card(&nickname.unwrap_or_default(), avatar.as_deref(), &id);
            format!(
                r#"{card}<form method="post" action="/auth/qq/logout">
<button>退出登录 <span lang="en">Sign out</span></button></form>"#
            )
        }
    }))
}

const SIGNED_OUT: &str = r#"<p>你还没有登录。<br><span lang="en">You are not signed in.</span></p>
<p><a class="button" href="/auth/qq/login">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>"#;

/// Returns the id, nickname and avatar of a user who is not banned.
async fn find(
    pool: &SqlitePool,
    openid: &OpenId,
) -> Result<Option<(i64, Option<String>, Option<String>)>, sqlx::Error> {
    sqlx::query_as("SELECT id, nickname, avatar FROM users WHERE openid = ? AND NOT banned")
        .bind(openid.as_str())
        .fetch_optional(pool)
        .await
}

/// Greets a user after the first login.
async fn welcome(_: QqUser) -> Response {
    page(
        r#"<p>欢迎你，新用户！<br><span lang="en">Welcome! This is your first visit.</span></p>
<p><a class="button" href="/">继续 <span lang="en">Continue</span></a></p>"#,
    )
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let pool = open_database()
        .await
        .map_err(|error| format!("DATABASE_URL: {error}"))?;
    let users = pool.clone();
    let qq = QqAuthLayer::builder(server.client(), server.keys())
        .on_login(async move |login, _head| Ok(admit(&users, login).await?))
        .build()?;
    let site = Router::new()
        .route("/", get(home))
        .route("/welcome", get(welcome))
        .with_state(pool)
        .layer(qq);
    server.serve(site).await
}

/// Uses one connection and keeps it: a database in memory is lost with its connection, and SQLite
/// writes one thing at a time anyway.
async fn open_database() -> Result<SqlitePool, sqlx::Error> {
    let url = env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite::memory:".into());
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(SqliteConnectOptions::from_str(&url)?.create_if_missing(true))
        .await?;
    sqlx::query(TABLE).execute(&pool).await?;
    Ok(pool)
}
