//! A site with a users table: each login is written down before it counts, the first one goes to a page of welcome, and
//! somebody who is banned is refused.
//!
//! ```text
//! DATABASE_URL=sqlite:users.db cargo run --example sqlite_users
//! sqlite3 users.db "UPDATE users SET banned = TRUE WHERE id = 1"
//! ```
//!
//! Without `DATABASE_URL` the table is in memory. `LISTEN` and the variables of QQ are those of the quickstart.

use std::{env, error::Error, process::ExitCode, str::FromStr};

use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tower_qq_auth::{OpenId, QqAuthLayer, QqLogin, QqUser, Verdict};

mod common;

use common::{Server, page, person};

const TABLE: &str = "\
    CREATE TABLE IF NOT EXISTS users (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        openid TEXT NOT NULL UNIQUE,
        nickname TEXT,
        picture TEXT,
        logins INTEGER NOT NULL DEFAULT 1,
        banned INTEGER NOT NULL DEFAULT FALSE
    ) STRICT";

/// The site. The hook has the pool, and so have the pages.
fn site(qq: QqAuthLayer, pool: SqlitePool) -> Router {
    let users = pool.clone();
    let qq = qq.on_login(move |login, _head| admit(users.clone(), login));
    Router::new()
        .route("/", get(home))
        .route("/welcome", get(welcome))
        .with_state(pool)
        .layer(qq)
}

/// Writes a login down and says what becomes of it. If this fails, nobody is signed in.
async fn admit(pool: SqlitePool, login: QqLogin) -> Result<Verdict, sqlx::Error> {
    let user = login.user();
    // QQ does not always give a profile. What it does not tell this time stays as it was.
    let nickname = user.profile_complete().then(|| user.nickname());
    let mut transaction = pool.begin().await?;
    let (logins, banned): (i64, bool) = sqlx::query_as(
        "INSERT INTO users (openid, nickname, picture) VALUES (?, ?, ?)
         ON CONFLICT (openid) DO UPDATE SET
             nickname = coalesce(excluded.nickname, nickname),
             picture = coalesce(excluded.picture, picture),
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
        let reason = "这个账号已被停用。This account is closed.";
        return Ok(Verdict::Refuse(reason.into()));
    }
    transaction.commit().await?;
    Ok(match logins {
        1 => Verdict::AllowTo("/welcome".into()),
        _ => Verdict::Allow,
    })
}

/// Public. The session says who it is, the table says what the site knows of them: a ban counts at once, not at the
/// next login.
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
        None => "<p>你还没有登录。<br><span lang=\"en\">You are not signed in.</span></p>\
             <p><a class=\"button\" href=\"/auth/qq/login\">QQ 登录 <span lang=\"en\">Sign in with QQ</span></a></p>"
            .into(),
        Some((id, nickname, picture)) => {
            let id = format!("用户编号 user id {id}");
            let person = person(&nickname.unwrap_or_default(), picture.as_deref(), &id);
            format!(
                "{person}<form method=\"post\" action=\"/auth/qq/logout\">\
                 <button>退出登录 <span lang=\"en\">Sign out</span></button></form>"
            )
        }
    }))
}

/// Id, nickname and picture of somebody who is not banned.
async fn find(
    pool: &SqlitePool,
    openid: &OpenId,
) -> Result<Option<(i64, Option<String>, Option<String>)>, sqlx::Error> {
    sqlx::query_as("SELECT id, nickname, picture FROM users WHERE openid = ? AND NOT banned")
        .bind(openid.as_str())
        .fetch_optional(pool)
        .await
}

/// Where the first login ends.
async fn welcome(_: QqUser) -> Response {
    page(
        "<p>欢迎第一次来到本站！<br><span lang=\"en\">Welcome! This is your first visit.</span></p>\
         <p><a class=\"button\" href=\"/\">继续 <span lang=\"en\">Go on</span></a></p>",
    )
}

#[tokio::main]
async fn main() -> ExitCode {
    common::main(run()).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let pool = database()
        .await
        .map_err(|error| format!("DATABASE_URL: {error}"))?;
    let site = site(server.qq(), pool);
    server.serve(site).await
}

/// One connection, which stays: what is in memory goes with it, and SQLite writes one thing at a time anyway.
async fn database() -> Result<SqlitePool, sqlx::Error> {
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
