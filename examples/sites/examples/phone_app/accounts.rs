//! Accounts, and the QQ identities that sign in to each: one at the website and one at every phone
//! app.

use std::{error::Error, str::FromStr};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tower_qq_auth::{Identity, OpenId, QqLogin, UnionId, Verdict};

/// A file gives no id twice, so that a session whose account is gone never belongs to another user.
/// To it each NULL is different, so accounts without a UnionID do not collide.
const TABLES: &str = "\
    CREATE TABLE IF NOT EXISTS accounts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        unionid TEXT UNIQUE,
        nickname TEXT,
        banned INTEGER NOT NULL DEFAULT FALSE
    ) STRICT;
    CREATE TABLE IF NOT EXISTS identities (
        app_id TEXT NOT NULL,
        openid TEXT NOT NULL,
        account INTEGER NOT NULL REFERENCES accounts,
        UNIQUE (app_id, openid)
    ) STRICT";

/// Uses one connection and keeps it: a database in memory is lost with its connection, and SQLite
/// writes one thing at a time anyway.
pub(crate) async fn open(url: &str) -> Result<SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(SqliteConnectOptions::from_str(url)?.create_if_missing(true))
        .await?;
    sqlx::raw_sql(TABLES).execute(&pool).await?;
    Ok(pool)
}

/// Finds or creates the account of a login, and decides about it. If this fails, the user is not
/// signed in.
pub(crate) async fn admit(pool: &SqlitePool, login: &QqLogin) -> Result<Verdict, sqlx::Error> {
    let user = login.user();
    let unionid = user.unionid().map(UnionId::as_str);
    // QQ does not always return a profile: keep the nickname of the last one then.
    let nickname = user.profile_complete().then(|| user.nickname());

    // Takes the lock before it reads. Otherwise two first logins of a user, on the web and on the
    // phone, would both find no account.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let known: Option<i64> =
        sqlx::query_scalar("SELECT account FROM identities WHERE app_id = ? AND openid = ?")
            .bind(user.app_id())
            .bind(user.openid().as_str())
            .fetch_optional(&mut *transaction)
            .await?;
    // A NULL equals nothing, so a login without a UnionID finds no account here.
    let linked: Option<(i64, bool)> =
        sqlx::query_as("SELECT id, banned FROM accounts WHERE unionid = ?")
            .bind(unionid)
            .fetch_optional(&mut *transaction)
            .await?;

    let account = match known.or(linked.map(|(account, _)| account)) {
        Some(account) => account,
        None => {
            sqlx::query_scalar("INSERT INTO accounts DEFAULT VALUES RETURNING id")
                .fetch_one(&mut *transaction)
                .await?
        }
    };
    if known.is_none() {
        sqlx::query("INSERT INTO identities (app_id, openid, account) VALUES (?, ?, ?)")
            .bind(user.app_id())
            .bind(user.openid().as_str())
            .bind(account)
            .execute(&mut *transaction)
            .await?;
    }
    let is_linked_banned = linked.is_some_and(|(_, banned)| banned);
    if let Some((other, _)) = linked.filter(|&(other, _)| other != account) {
        // Both may have orders or a balance, so a merge is for the operator to decide.
        tracing::warn!(account, other, "a login has the UnionID of another account");
    }
    // Neither replaces a UnionID, nor takes it from another account.
    let new_unionid = unionid.filter(|_| linked.is_none());
    let banned: bool = sqlx::query_scalar(
        "UPDATE accounts SET unionid = coalesce(unionid, ?), nickname = coalesce(?, nickname)
         WHERE id = ? RETURNING banned",
    )
    .bind(new_unionid)
    .bind(nickname)
    .bind(account)
    .fetch_one(&mut *transaction)
    .await?;
    // Also if it is banned: the new identity of a banned account stays out even without a UnionID.
    transaction.commit().await?;
    Ok(match banned || is_linked_banned {
        true => Verdict::refuse("该账号已被停用。This account is closed."),
        false => Verdict::allow().with_account(account.to_string()),
    })
}

/// Bans an account. The caller revokes each of its identities after that, or the user could simply
/// sign in again.
pub(crate) async fn ban(pool: &SqlitePool, account: i64) -> Result<(), sqlx::Error> {
    let update = sqlx::query("UPDATE accounts SET banned = TRUE WHERE id = ?").bind(account);
    update.execute(pool).await?;
    Ok(())
}

/// Returns the identities of an account.
pub(crate) async fn identities(
    pool: &SqlitePool,
    account: i64,
) -> Result<Vec<Identity>, Box<dyn Error>> {
    let rows = sqlx::query_as("SELECT app_id, openid FROM identities WHERE account = ?");
    parse(rows.bind(account).fetch_all(pool).await?)
}

/// Returns the identities of all banned accounts.
pub(crate) async fn banned(pool: &SqlitePool) -> Result<Vec<Identity>, Box<dyn Error>> {
    let rows = sqlx::query_as(
        "SELECT app_id, openid FROM identities JOIN accounts ON id = account WHERE banned",
    );
    parse(rows.fetch_all(pool).await?)
}

fn parse(rows: Vec<(String, String)>) -> Result<Vec<Identity>, Box<dyn Error>> {
    let identity =
        |(app_id, openid): (String, String)| Ok(Identity::new(&app_id, &OpenId::new(openid)?)?);
    rows.into_iter().map(identity).collect()
}
