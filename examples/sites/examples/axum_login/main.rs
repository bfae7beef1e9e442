//! A site whose users have passwords (axum-login). QQ is a second way in: users link it to their
//! account, and it signs them in from then on.
//!
//! ```text
//! cargo run -p sites --example axum_login
//! ```
//!
//! Sign in as `ann` with the password that it prints, link QQ, sign out, and sign in with QQ. Look
//! at `callback`, which links only a login with the intent; at the table in `users.rs`, which
//! refuses a QQ user of another account; and at `sign_in`, which begins a new session each time.
//!
//! A QQ user without an account gets a new one, which has no password and so cannot unlink QQ. The
//! demo users are for development. A real site also limits attempts to sign in.
//!
//! It reads `LISTEN` and the variables of QQ like the quickstart; the path of `QQ_REDIRECT_URI` has
//! to be `/auth/qq/callback`.
//!
//! # Versions
//!
//! axum-login 0.18 needs tower-sessions 0.14, and a store for that version:
//! `tower-sessions-memory-store` 0.14 as here, or `tower-sessions-sqlx-store` 0.15, whose number is
//! one ahead. Take tower-sessions itself from `axum_login::tower_sessions`. A second version has
//! types of the same names that are different types: axum-login does not accept its layers and
//! stores, its `Session` compiles as a handler argument but answers every request with 500, and
//! both layers together write to one cookie.

use std::{error::Error, sync::Arc};

use axum::{
    Form, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use axum_login::{
    AuthManagerLayerBuilder, AuthSession,
    tower_sessions::{SessionManagerLayer, cookie::SameSite},
};
use maud::html;
use sites::{Server, page, user_card};
use tower_http::csrf::CsrfLayer;
use tower_qq_auth::{QqAuthLayer, QqLogin};
use tower_sessions_memory_store::MemoryStore;

use crate::users::{Credentials, User, Users};

mod users;

type Auth = AuthSession<Users>;

/// Finishes a login that QQ confirmed. If anything fails before, the layer responds.
///
/// Only a login with the intent links. The layer makes sure that it started on a page of the site,
/// and that the account of its start is still signed in.
async fn callback(mut auth: Auth, login: QqLogin) -> Result<Response, Failure> {
    let user = match (login.intent(), &auth.user) {
        (None, _) => Some(auth.backend.find_or_add(login.user()).await?),
        (Some("link"), Some(me)) => auth.backend.link(me.id, login.user().openid()).await?,
        _ => None,
    };
    let Some(user) = user else {
        return Ok((StatusCode::CONFLICT, page(TAKEN)).into_response());
    };
    sign_in(&mut auth, &user).await?;
    Ok(Redirect::to(login.return_to()).into_response())
}

async fn unlink(mut auth: Auth) -> Result<Response, Failure> {
    if let Some(me) = &auth.user {
        let Some(user) = auth.backend.unlink(me.id).await? else {
            return Ok((StatusCode::CONFLICT, page(LAST_WAY_IN)).into_response());
        };
        sign_in(&mut auth, &user).await?;
    }
    Ok(Redirect::to("/").into_response())
}

async fn login(mut auth: Auth, Form(form): Form<Credentials>) -> Result<Response, Failure> {
    let Some(user) = auth.authenticate(form).await? else {
        return Ok((StatusCode::UNAUTHORIZED, page(WRONG)).into_response());
    };
    sign_in(&mut auth, &user).await?;
    Ok(Redirect::to("/").into_response())
}

async fn logout(mut auth: Auth) -> Result<Redirect, Failure> {
    auth.logout().await?;
    Ok(Redirect::to("/"))
}

/// Begins a new session, so that an id from before is worthless.
///
/// `login` alone changes the id only if the session had no user: it would keep the id after a link,
/// and leave the data of one user to the next.
async fn sign_in(auth: &mut Auth, user: &User) -> Result<(), Failure> {
    auth.session.clear().await;
    auth.session.cycle_id().await?;
    auth.login(user).await?;
    Ok(())
}

/// The database or the session store failed.
struct Failure;

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        tracing::error!("a request failed: {error}");
        Self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

async fn home(auth: Auth, State(link_url): State<Arc<str>>) -> Response {
    let Some(me) = auth.user else {
        return page(SIGNED_OUT);
    };
    let (qq, action) = match (&me.openid, &me.password) {
        (None, _) => {
            let link = html! {
                p { a.button href=(link_url) { "绑定 QQ " span lang="en" { "Link QQ" } } }
            };
            ("未绑定 QQ · no QQ yet".into(), link.into_string())
        }
        (Some(openid), Some(_)) => (format!("openid {openid}"), UNLINK.into()),
        (Some(openid), None) => (format!("openid {openid}"), String::new()),
    };
    let about = format!("用户 ID user id {} · {qq}", me.id);
    let card = user_card(&me.nickname, None, &about);
    page(&format!("{card}{action}{LOGOUT}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let users = Users::open().await?;
    let password = users.add_demo_users().await?;
    println!("password      {password} for the demo users ann and bob (development only)");
    let qq = QqAuthLayer::builder(server.client(), server.keys())
        .without_session()
        .account_of(|head| {
            let user = head.extensions.get::<Auth>()?.user.as_ref()?;
            Some(user.id.to_string())
        })
        .build()?;
    // Not `Strict`, the default: the callback comes from QQ, without `Strict` cookies.
    let sessions = SessionManagerLayer::new(MemoryStore::default())
        .with_secure(server.is_https())
        .with_same_site(SameSite::Lax);
    let link_url: Arc<str> = qq.login_url_with_intent("link", "/")?.into();
    let site = Router::new()
        .route("/", get(home))
        .route("/auth/qq/callback", get(callback))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/unlink", post(unlink))
        .with_state(link_url)
        .layer(CsrfLayer::new())
        .layer(qq)
        // Outside the layer of QQ, because `account_of` needs the user.
        .layer(AuthManagerLayerBuilder::new(users, sessions).build());
    server.serve(site).await
}

const SIGNED_OUT: &str = r#"<p>你还没有登录。<br><span lang="en">You are not signed in.</span></p>
<p><a class="button" href="/auth/qq/login">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>
<form method="post" action="/login">
<p><label>用户名 <span lang="en">Name</span>
<input name="name" autocomplete="username" required></label></p>
<p><label>密码 <span lang="en">Password</span>
<input name="password" type="password" autocomplete="current-password" required></label></p>
<button>登录 <span lang="en">Sign in</span></button></form>"#;

const UNLINK: &str = r#"<form method="post" action="/unlink">
<button>解绑 QQ <span lang="en">Unlink QQ</span></button></form>"#;

const LOGOUT: &str = r#"<form method="post" action="/logout">
<button class="secondary">退出登录 <span lang="en">Sign out</span></button></form>"#;

const WRONG: &str = r#"<p>用户名或密码不正确。<br>
<span lang="en">Wrong name or password.</span></p>
<p><a class="button" href="/">返回 <span lang="en">Back</span></a></p>"#;

const TAKEN: &str = r#"<p>无法绑定：该 QQ 已绑定其他账号，或当前账号已绑定其他 QQ。<br>
<span lang="en">This QQ belongs to another account, or this account has another QQ.</span></p>
<p><a class="button" href="/">返回 <span lang="en">Back</span></a></p>"#;

const LAST_WAY_IN: &str = r#"<p>QQ 是该账号唯一的登录方式，不能解绑。<br>
<span lang="en">QQ is the only way in to this account, so it cannot be unlinked.</span></p>
<p><a class="button" href="/">返回 <span lang="en">Back</span></a></p>"#;
