//! A site with a users table. The session holds the id of the user's row, so that no page looks it
//! up by openid.
//!
//! ```text
//! DATABASE_URL=sqlite:users.db cargo run -p sites --example sqlite_users --features revocation
//! ```
//!
//! `admit` records each login before it counts, names the row as the account of the session, and
//! refuses banned users. Sign in with two browsers, as two users: the first one is the
//! administrator, and can ban the second one, who is signed out at once. Sign in with two browsers
//! as one user, and sign out the other device or delete the account: both take effect at once, too.
//! Without `DATABASE_URL` the table is in memory, with the mock only. It reads `LISTEN` and the variables of QQ like
//! the quickstart.

use std::{error::Error, fmt::Display, str::FromStr};

use axum::{
    Form, Router,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use sites::{Server, page, user_card};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tower_http::csrf::CsrfLayer;
use tower_qq_auth::{
    LoginRequired, OpenId, QqAuthLayer, QqLogin, QqSession, SignOut, Verdict,
    revocation::{InMemoryRevocations, RevocationError},
};

/// A file gives no id twice, so that a session whose row is gone never belongs to another user.
///
/// The openid is the key because all users come from one QQ app. With a phone app it is
/// `QqUser::identity`.
const TABLE: &str = "\
    CREATE TABLE IF NOT EXISTS users (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        openid TEXT NOT NULL UNIQUE,
        nickname TEXT,
        avatar TEXT,
        logins INTEGER NOT NULL DEFAULT 1,
        banned INTEGER NOT NULL DEFAULT FALSE
    ) STRICT";

#[derive(Clone)]
struct App {
    pool: SqlitePool,
    qq: QqAuthLayer,
}

/// Records a login and decides about it. If this fails, the user is not signed in.
async fn admit(pool: &SqlitePool, login: QqLogin) -> Result<Verdict, sqlx::Error> {
    let user = login.user();
    // QQ does not always return a profile: keep the values of the last one then.
    let nickname = user.profile_complete().then(|| user.nickname());
    let mut transaction = pool.begin().await?;
    let (id, logins, banned): (i64, i64, bool) = sqlx::query_as(
        "INSERT INTO users (openid, nickname, avatar) VALUES (?, ?, ?)
         ON CONFLICT (openid) DO UPDATE SET
             nickname = coalesce(excluded.nickname, nickname),
             avatar = coalesce(excluded.avatar, avatar),
             logins = logins + 1
         RETURNING id, logins, banned",
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
    let verdict = Verdict::allow().with_account(id.to_string());
    Ok(match logins {
        1 => verdict.redirect_to("/welcome"),
        _ => verdict,
    })
}

/// A signed-in user with a row.
struct Member {
    id: i64,
    session: QqSession,
}

impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = LoginRequired;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, LoginRequired> {
        let session = QqSession::from_request_parts(parts, state).await?;
        // A session from before the site had a table gets its account by another login.
        let id = session.account().and_then(|id| id.parse().ok());
        let id = id.ok_or(LoginRequired)?;
        Ok(Self { id, session })
    }
}

/// The first user is the administrator.
const ADMIN: i64 = 1;

/// Public. Needs no query: the session has the id, the nickname and the picture.
async fn home(member: Result<Member, LoginRequired>) -> Response {
    let Ok(Member { id, session }) = member else {
        return page(SIGNED_OUT);
    };
    let user = session.user();
    let about = format!("用户 ID user id {id}");
    let card = user_card(user.nickname(), user.avatar(), &about);
    let ban = if id == ADMIN { BAN } else { "" };
    page(&format!("{card}{FORMS}{ban}"))
}

/// Greets a user after the first login.
async fn welcome(_: Member) -> Response {
    page(WELCOME)
}

#[derive(serde::Deserialize)]
struct Ban {
    id: i64,
}

/// Bans a user: in the table first, since the user could simply sign in again otherwise.
async fn ban(
    State(app): State<App>,
    admin: Member,
    Form(Ban { id }): Form<Ban>,
) -> Result<Redirect, Response> {
    // The account says who the user is. What the user may do is decided at each request.
    if admin.id != ADMIN {
        return Err(StatusCode::FORBIDDEN.into_response());
    }
    let openid: Option<String> =
        sqlx::query_scalar("UPDATE users SET banned = TRUE WHERE id = ? RETURNING openid")
            .bind(id)
            .fetch_optional(&app.pool)
            .await
            .map_err(internal)?;
    if let Some(openid) = openid {
        app.sign_out(openid).await.map_err(internal)?;
    }
    Ok(Redirect::to("/"))
}

/// Signs the user out on all other devices. The response has to return the session.
async fn sign_out_elsewhere(session: QqSession) -> Result<Response, Response> {
    let home = Redirect::to("/");
    match session.end_other_sessions().await {
        Ok(session) => Ok((session, home).into_response()),
        // The response to the first half of a double click has the session.
        Err(RevocationError::SessionEnded) => Ok(home.into_response()),
        Err(error) => Err(internal(error)),
    }
}

/// Deletes the account, and signs the user out on all devices.
async fn delete_account(
    State(app): State<App>,
    Member { id, session }: Member,
) -> Result<(SignOut, Redirect), Response> {
    // A row that is gone would forget a ban.
    let deleted = sqlx::query("DELETE FROM users WHERE id = ? AND NOT banned").bind(id);
    deleted.execute(&app.pool).await.map_err(internal)?;
    let revoked = app.qq.revoke_user(session.user().identity()).await;
    revoked.map_err(internal)?;
    Ok((SignOut, Redirect::to("/")))
}

fn internal(error: impl Display) -> Response {
    tracing::error!("cannot answer: {error}");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

impl App {
    /// Ends all sessions of a user.
    async fn sign_out(&self, openid: String) -> Result<(), Box<dyn Error>> {
        Ok(self.qq.revoke_user(&OpenId::new(openid)?).await?)
    }

    /// Ends the sessions of banned users once more, since a list in memory is empty after a
    /// restart. `RedisRevocations` also keeps what users have ended.
    async fn sign_out_banned(&self) -> Result<(), Box<dyn Error>> {
        let banned = sqlx::query_scalar("SELECT openid FROM users WHERE banned");
        for openid in banned.fetch_all(&self.pool).await? {
            self.sign_out(openid).await?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let pool = open_database(&server.database_url()?)
        .await
        .map_err(|error| format!("DATABASE_URL: {error}"))?;
    let table = pool.clone();
    let qq = QqAuthLayer::builder(server.client(), server.keys())
        .on_login(async move |login, _head| Ok(admit(&table, login).await?))
        .revocations(InMemoryRevocations::new())
        .build()?;
    let app = App {
        pool,
        qq: qq.clone(),
    };
    app.sign_out_banned().await?;
    let site = Router::new()
        .route("/", get(home))
        .route("/welcome", get(welcome))
        .route("/ban", post(ban))
        .route("/sign-out-elsewhere", post(sign_out_elsewhere))
        .route("/delete-account", post(delete_account))
        .with_state(app)
        .layer(CsrfLayer::new())
        .layer(qq);
    server.serve(site).await
}

/// Uses one connection and keeps it: a database in memory is lost with its connection, and SQLite
/// writes one thing at a time anyway.
async fn open_database(url: &str) -> Result<SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(SqliteConnectOptions::from_str(url)?.create_if_missing(true))
        .await?;
    sqlx::query(TABLE).execute(&pool).await?;
    Ok(pool)
}

const SIGNED_OUT: &str = r#"<p>你还没有登录。<br><span lang="en">You are not signed in.</span></p>
<p><a class="button" href="/auth/qq/login">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>"#;

const WELCOME: &str = r#"<p>欢迎你，新用户！<br><span lang="en">Welcome! This is your first visit.</span></p>
<p><a class="button" href="/">继续 <span lang="en">Continue</span></a></p>"#;

const FORMS: &str = r#"<form method="post" action="/auth/qq/logout">
<p><button class="secondary">退出登录 <span lang="en">Sign out</span></button></p></form>
<form method="post" action="/sign-out-elsewhere">
<p><button>退出其他设备 <span lang="en">Sign out other devices</span></button></p></form>
<form method="post" action="/delete-account">
<p><button>注销账号 <span lang="en">Delete account</span></button></p></form>"#;

const BAN: &str = r#"<form method="post" action="/ban">
<p><label>用户 ID <span lang="en">User id</span> <input name="id" type="number" required></label></p>
<button>封禁 <span lang="en">Ban</span></button></form>"#;
