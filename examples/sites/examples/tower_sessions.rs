//! A site with accounts and a session of its own (tower-sessions): QQ is one way to sign in, and can be added to an
//! account that came another way.
//!
//! ```text
//! cargo run --example tower_sessions
//! ```
//!
//! The layer sets no session cookie here; it hands each login that succeeded on to `callback`. `LISTEN` and the
//! variables of QQ are those of the quickstart, and the path of `QQ_REDIRECT_URI` is `/auth/qq/callback`.

use std::{error::Error, process::ExitCode, sync::Arc};

use axum::{
    Extension, Form, Router,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tokio::sync::Mutex;
use tower_http::csrf::CsrfLayer;
use tower_qq_auth::{LoginRequired, OpenId, QqAuthLayer, QqLogin, QqUser};
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, cookie::SameSite, session};

mod common;

use common::{Server, page, person};

/// The site. The session is outside of the layer, which asks whose it is.
fn site(qq: QqAuthLayer, is_https: bool) -> Router {
    // A new session id at each sign-in: whoever has the same id has the same account.
    let qq = qq
        .without_session()
        .account_of(|head| Some(head.extensions.get::<Session>()?.id()?.to_string()));
    // Not `Strict`, the default: the callback comes by way of QQ, and would come without the cookie.
    let sessions = SessionManagerLayer::new(MemoryStore::default())
        .with_secure(is_https)
        .with_same_site(SameSite::Lax);
    Router::new()
        .route("/", get(home))
        .route("/members", get(members))
        .route("/auth/qq/callback", get(callback))
        .route("/local", post(local))
        .route("/logout", post(logout))
        .with_state(Accounts::default())
        .layer(CsrfLayer::new())
        .layer(qq)
        .layer(sessions)
}

/// Back from QQ, which said who this is. Whatever goes wrong before, the layer answers.
async fn callback(
    State(accounts): State<Accounts>,
    session: Session,
    me: Result<Me, Response>,
    Extension(login): Extension<QqLogin>,
) -> Result<Response, Response> {
    if login.intent() == Some("bind") {
        let openid = login.user().openid();
        if !accounts.bind(me?.id, openid).await {
            let taken = "<p>这个 QQ 已属于另一个账号。<br>\
                <span lang=\"en\">This QQ belongs to another account.</span></p><p><a href=\"/\">/</a></p>";
            return Err((StatusCode::CONFLICT, page(taken)).into_response());
        }
    } else {
        let id = accounts.of_qq(login.user()).await;
        sign_in(&session, id).await.map_err(broken)?;
    }
    Ok(Redirect::to(login.return_to()).into_response())
}

/// The other way to sign in: a name, and a new account at each time.
async fn local(
    State(accounts): State<Accounts>,
    session: Session,
    Form(form): Form<Local>,
) -> Result<Redirect, Response> {
    let id = accounts.add(form.name).await;
    sign_in(&session, id).await.map_err(broken)?;
    Ok(Redirect::to("/"))
}

#[derive(serde::Deserialize)]
struct Local {
    name: String,
}

async fn logout(session: Session) -> Result<Redirect, Response> {
    session.flush().await.map_err(broken)?;
    Ok(Redirect::to("/"))
}

async fn home(me: Result<Me, Response>) -> Response {
    let Ok(me) = me else {
        return page(SIGNED_OUT);
    };
    let (qq, bind) = match &me.account.qq {
        Some(openid) => (format!("openid {openid}"), ""),
        None => ("没有绑定 QQ · no QQ yet".into(), BIND),
    };
    let person = person(&me.account.name, None, &qq);
    page(&format!(
        "{person}{bind}<p><a href=\"/members\">/members</a></p>\
         <form method=\"post\" action=\"/logout\">\
         <button>退出登录 <span lang=\"en\">Sign out</span></button></form>"
    ))
}

/// Needs somebody: anybody else is sent to the login and comes back, or gets 401.
async fn members(me: Me) -> Response {
    page(&person(&me.account.name, None, "会员专区 · members only"))
}

/// The account that the session belongs to, as the app knows it.
struct Me {
    id: usize,
    account: Account,
}

/// The guard: for [`LoginRequired`] the layer sends people to the login, whoever keeps the session.
impl FromRequestParts<Accounts> for Me {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, accounts: &Accounts) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, accounts)
            .await
            .map_err(IntoResponse::into_response)?;
        let id: Option<usize> = session.get(ACCOUNT).await.map_err(broken)?;
        let id = id.ok_or_else(|| LoginRequired.into_response())?;
        let account = accounts.get(id).await;
        let account = account.ok_or_else(|| LoginRequired.into_response())?;
        Ok(Self { id, account })
    }
}

const ACCOUNT: &str = "account";

/// Under a new id: nobody who knew the old one comes along.
async fn sign_in(session: &Session, id: usize) -> Result<(), session::Error> {
    session.cycle_id().await?;
    session.insert(ACCOUNT, id).await
}

fn broken(error: session::Error) -> Response {
    tracing::error!("the session store failed: {error}");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// The accounts of the app, where a real one has a database. An account's id is its place.
#[derive(Clone, Default)]
struct Accounts(Arc<Mutex<Vec<Account>>>);

#[derive(Clone)]
struct Account {
    name: String,
    qq: Option<OpenId>,
}

impl Accounts {
    async fn get(&self, id: usize) -> Option<Account> {
        self.0.lock().await.get(id).cloned()
    }

    async fn add(&self, name: String) -> usize {
        let mut accounts = self.0.lock().await;
        accounts.push(Account { name, qq: None });
        accounts.len() - 1
    }

    /// The account of somebody with this QQ; a new one if there is none.
    async fn of_qq(&self, user: &QqUser) -> usize {
        let mut accounts = self.0.lock().await;
        holder(&accounts, user.openid()).unwrap_or_else(|| {
            accounts.push(Account {
                name: user.nickname().into(),
                qq: Some(user.openid().clone()),
            });
            accounts.len() - 1
        })
    }

    /// Adds a QQ to an account, unless it belongs to another one.
    async fn bind(&self, id: usize, openid: &OpenId) -> bool {
        let mut accounts = self.0.lock().await;
        let free = holder(&accounts, openid).is_none_or(|holder| holder == id);
        if free {
            accounts[id].qq = Some(openid.clone());
        }
        free
    }
}

fn holder(accounts: &[Account], openid: &OpenId) -> Option<usize> {
    let mut qqs = accounts.iter().map(|account| account.qq.as_ref());
    qqs.position(|qq| qq == Some(openid))
}

#[tokio::main]
async fn main() -> ExitCode {
    common::main(run()).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let site = site(server.qq(), server.is_https());
    server.serve(site).await
}

const BIND: &str = "<p><a class=\"button\" href=\"/auth/qq/login?intent=bind&amp;return_to=/\">\
    绑定 QQ <span lang=\"en\">Add QQ</span></a></p>";

const SIGNED_OUT: &str = "\
    <p>你还没有登录。<br><span lang=\"en\">You are not signed in.</span></p>\
    <p><a class=\"button\" href=\"/auth/qq/login\">QQ 登录 <span lang=\"en\">Sign in with QQ</span></a></p>\
    <form method=\"post\" action=\"/local\">\
    <p><label>或者只用一个名字 <span lang=\"en\">Or just a name</span> <input name=\"name\" required></label></p>\
    <button>登录 <span lang=\"en\">Sign in</span></button></form>";
