//! A website and the API of its phone app in one. A user has one account on both.
//!
//! ```text
//! cargo run -p sites --example phone_app --features revocation
//! sh examples/sites/examples/phone_app/phone.sh http://127.0.0.1:3000 <a token that it prints>
//! ```
//!
//! The phone app signs in to QQ by QQ's SDK and posts the access token to `/api/phone-login`. From
//! then on it has a session cookie like a browser, and uses the same handlers. `phone.sh` plays such
//! an app. Sign in on the web as the same user: the page lists both identities of the account. Look
//! at `admit` in `accounts.rs`, which finds the account of a login by its identity or UnionID; and
//! at `ban`, which signs a user out on the web and on the phone.
//!
//! `QQ_PHONE_APP_ID` is the app id of the phone app, or several separated by commas. At the real QQ,
//! without it, no phone signs in; the mock's default is 1106123456. Without `DATABASE_URL`, such as
//! `sqlite:users.db`, the tables are in memory, with the mock only. It reads `LISTEN` and the variables of QQ like the
//! quickstart.

use std::{env, error::Error, fmt::Display};

use axum::{
    Form, Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::html;
use sites::{Server, listen, page, user_card};
use sqlx::SqlitePool;
use tower_http::csrf::CsrfLayer;
use tower_qq_auth::{
    Identity, LoginError, LoginRequired, QqAuthLayer, QqSession, QqUser,
    mock::MockQq,
    revocation::{InMemoryRevocations, RevocationError},
};

mod accounts;

#[derive(Clone)]
struct App {
    pool: SqlitePool,
    qq: QqAuthLayer,
}

/// Sent by the phone. If it sends an openid as well, that is ignored: it proves nothing.
#[derive(serde::Deserialize)]
struct PhoneLogin {
    access_token: String,
}

/// Signs a phone in with the token that QQ's SDK gave to the phone app.
///
/// `Json` refuses other content types, which a page of another site could send without a preflight.
async fn phone_login(
    State(app): State<App>,
    Json(phone): Json<PhoneLogin>,
) -> Result<(QqSession, Json<QqUser>), LoginError> {
    let login = app.qq.client().verify(&phone.access_token).await?;
    let session = app.qq.begin(login).await?;
    let user = session.user().clone();
    Ok((session, Json(user)))
}

/// A signed-in user, on the web or on a phone.
#[derive(serde::Serialize)]
struct Me {
    account: i64,
    app_id: String,
    identity: String,
    nickname: String,
}

impl<S: Sync> FromRequestParts<S> for Me {
    type Rejection = LoginRequired;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, LoginRequired> {
        let session = QqSession::from_request_parts(parts, state).await?;
        let account = session.account().and_then(|id| id.parse().ok());
        let user = session.user();
        Ok(Self {
            account: account.ok_or(LoginRequired)?,
            app_id: user.app_id().into(),
            identity: user.identity().to_string(),
            nickname: user.nickname().into(),
        })
    }
}

async fn me(me: Me) -> Json<Me> {
    Json(me)
}

/// The first account is the administrator's.
const ADMIN: i64 = 1;

async fn home(State(app): State<App>, me: Result<Me, LoginRequired>) -> Result<Response, Response> {
    let Ok(me) = me else {
        return Ok(page(SIGNED_OUT));
    };
    let about = format!("账号 account {}", me.account);
    let card = user_card(&me.nickname, None, &about);
    let identities = accounts::identities(&app.pool, me.account).await;
    let identities = identities.map_err(internal)?;
    let list = html! {
        ul { @for identity in &identities { li { code { (identity) } } } }
    };
    let list = list.into_string();
    let ban = if me.account == ADMIN { BAN } else { "" };
    Ok(page(&format!("{card}{IDENTITIES}{list}{SIGN_OUT}{ban}")))
}

#[derive(serde::Deserialize)]
struct Ban {
    account: i64,
}

/// Bans an account: in the table first, since the user could simply sign in again otherwise. If
/// this fails, the administrator can send the form again.
async fn ban(
    State(app): State<App>,
    admin: Me,
    Form(Ban { account }): Form<Ban>,
) -> Result<Redirect, Response> {
    // The account says who the user is. What the user may do is decided at each request.
    if admin.account != ADMIN {
        return Err(StatusCode::FORBIDDEN.into_response());
    }
    accounts::ban(&app.pool, account).await.map_err(internal)?;
    let identities = accounts::identities(&app.pool, account).await;
    app.sign_out(identities.map_err(internal)?)
        .await
        .map_err(internal)?;
    Ok(Redirect::to("/"))
}

fn internal(error: impl Display) -> Response {
    tracing::error!("cannot answer: {error}");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

impl App {
    /// Ends all sessions of these identities.
    async fn sign_out(&self, identities: Vec<Identity>) -> Result<(), RevocationError> {
        for identity in identities {
            self.qq.revoke_user(identity).await?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let phone_apps = phone_apps();
    let listener = listen("LISTEN", "127.0.0.1:3000").await?;
    // QQ has to grant UnionIDs to both apps first.
    let server = Server::with_app(listener, |app| {
        app.request_union_id().accept_tokens_of(&phone_apps)
    })?;
    let url = server.database_url()?;
    let pool = accounts::open(&url).await;
    let pool = pool.map_err(|error| format!("DATABASE_URL: {error}"))?;
    let hook = pool.clone();
    let qq = QqAuthLayer::builder(server.client(), server.keys())
        .on_login(async move |login, _head| Ok(accounts::admit(&hook, &login).await?))
        .revocations(InMemoryRevocations::new())
        .build()?;
    let app = App {
        pool,
        qq: qq.clone(),
    };
    // A list in memory is empty after a restart.
    app.sign_out(accounts::banned(&app.pool).await?).await?;
    if let Some(mock) = server.mock() {
        print_tokens(mock, &phone_apps)?;
    }
    // At the proxy, limit the rate of it like that of the callback.
    let phone_login = post(phone_login).layer(DefaultBodyLimit::max(4096));
    let site = Router::new()
        .route("/", get(home))
        .route("/ban", post(ban))
        .route("/api/phone-login", phone_login)
        .route("/api/me", get(me))
        .with_state(app)
        .layer(CsrfLayer::new())
        .layer(qq);
    server.serve(site).await
}

/// Returns the ids of the phone apps. The made-up one is for the mock only.
fn phone_apps() -> Vec<String> {
    let read = |name| env::var(name).unwrap_or_default();
    let mut ids = read("QQ_PHONE_APP_ID");
    if ids.is_empty() && read("QQ_APP_ID").is_empty() {
        ids = "1106123456".into();
    }
    let ids = ids.split(',').map(|id| id.trim().to_owned());
    ids.filter(|id| !id.is_empty()).collect()
}

/// Prints what QQ's SDK would give to the phone apps of the first three users.
fn print_tokens(mock: &MockQq, phone_apps: &[String]) -> Result<(), Box<dyn Error>> {
    mock.grant_union_id(true);
    for app_id in phone_apps {
        for user in mock.people().iter().take(3) {
            let token = mock.sdk_token(app_id, &user.openid)?;
            println!("token         {token} of {} at {app_id}", user.nickname);
        }
    }
    Ok(())
}

const SIGNED_OUT: &str = r#"<p>你还没有登录。<br><span lang="en">You are not signed in.</span></p>
<p><a class="button" href="/auth/qq/login">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>"#;

const IDENTITIES: &str = r#"<p>该账号的 QQ 身份（APP ID:openid）：<br>
<span lang="en">QQ identities of this account (app:openid):</span></p>"#;

const SIGN_OUT: &str = r#"<p><a href="/api/me">当前会话 <span lang="en">This session</span></a></p>
<form method="post" action="/auth/qq/logout">
<button class="secondary">退出登录 <span lang="en">Sign out</span></button></form>"#;

const BAN: &str = r#"<form method="post" action="/ban">
<p><label>账号 <span lang="en">Account</span>
<input name="account" type="number" required></label></p>
<button>封禁 <span lang="en">Ban</span></button></form>"#;
