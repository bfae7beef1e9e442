//! A site with its own accounts and sessions (tower-sessions). QQ is one way to sign in, and can be
//! added to an account that started with another.
//!
//! ```text
//! cargo run -p sites --example tower_sessions
//! ```
//!
//! Sign in with a name, add QQ to that account, sign out, and sign in with QQ: it is the same
//! account. It reads `LISTEN` and the variables of QQ like the quickstart; the path of
//! `QQ_REDIRECT_URI` has to be `/auth/qq/callback`.
//!
//! The layer sets no session cookie here (`without_session`), and forwards each successful login to
//! `callback`. So `QqSession`, `SignOut` and `Verdict::with_account` do not apply: the account is
//! in the app's own session, and `account_of` names it to the layer. A site that needs no such
//! session can let the layer keep the account, as `sqlite_users` does.

use std::{error::Error, sync::Arc};

use axum::{
    Form, Router,
    extract::{FromRequestParts, Request, State},
    http::{StatusCode, request::Parts},
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use sites::{Server, page, user_card};
use tokio::sync::Mutex;
use tower_http::csrf::CsrfLayer;
use tower_qq_auth::{LoginRequired, OpenId, QqAuthLayer, QqLogin, QqUser};
use tower_sessions::{MemoryStore, Session, SessionManagerLayer, cookie::SameSite, session};

/// Finishes a login that QQ confirmed. If anything fails before, the layer responds.
async fn callback(
    State(accounts): State<Accounts>,
    session: Session,
    me: Result<Me, Response>,
    login: QqLogin,
) -> Result<Response, Response> {
    if login.intent() == Some("bind") {
        let openid = login.user().openid();
        if !accounts.bind(me?.id, openid).await {
            return Err((StatusCode::CONFLICT, page(TAKEN)).into_response());
        }
    } else {
        let id = accounts.find_or_add(login.user()).await;
        sign_in(&session, id).await.map_err(store_failed)?;
    }
    Ok(Redirect::to(login.return_to()).into_response())
}

const TAKEN: &str = r#"<p>该 QQ 已绑定其他账号。<br>
<span lang="en">This QQ belongs to another account.</span></p><p><a href="/">/</a></p>"#;

/// The other way to sign in: a name, which makes a new account each time.
async fn local(
    State(accounts): State<Accounts>,
    session: Session,
    Form(form): Form<Local>,
) -> Result<Redirect, Response> {
    let id = accounts.add(form.name).await;
    sign_in(&session, id).await.map_err(store_failed)?;
    Ok(Redirect::to("/"))
}

#[derive(serde::Deserialize)]
struct Local {
    name: String,
}

async fn logout(session: Session) -> Result<Redirect, Response> {
    session.flush().await.map_err(store_failed)?;
    Ok(Redirect::to("/"))
}

async fn home(me: Result<Me, Response>) -> Response {
    let Ok(me) = me else {
        return page(SIGNED_OUT);
    };
    let (about, bind) = match &me.account.openid {
        Some(openid) => (format!("openid {openid}"), ""),
        None => ("未绑定 QQ · no QQ yet".into(), BIND),
    };
    let card = user_card(&me.account.name, None, &about);
    page(&format!(
        r#"{card}{bind}<p><a href="/members">/members</a></p>
<form method="post" action="/logout">
<button class="secondary">退出登录 <span lang="en">Sign out</span></button></form>"#
    ))
}

/// Protected: browsers without an account are sent to the login and come back, programs get 401.
async fn members(me: Me) -> Response {
    page(&user_card(
        &me.account.name,
        None,
        "会员专区 · members only",
    ))
}

/// The account of the session.
struct Me {
    id: usize,
    account: Account,
}

/// Asks for a login by [`LoginRequired`], which the layer turns into a redirect.
impl FromRequestParts<Accounts> for Me {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, accounts: &Accounts) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, accounts)
            .await
            .map_err(IntoResponse::into_response)?;
        let id: Option<usize> = session.get(ACCOUNT).await.map_err(store_failed)?;
        let id = id.ok_or_else(|| LoginRequired.into_response())?;
        let account = accounts.get(id).await;
        let account = account.ok_or_else(|| LoginRequired.into_response())?;
        Ok(Self { id, account })
    }
}

const ACCOUNT: &str = "account";

/// The account of the session, for `account_of`, which cannot wait for the store.
///
/// A session id would not do: visitors who are signed out may have one as well.
#[derive(Clone)]
struct AccountId(usize);

async fn load_account(session: Session, mut request: Request, next: Next) -> Response {
    match session.get(ACCOUNT).await {
        Ok(id) => {
            if let Some(id) = id {
                request.extensions_mut().insert(AccountId(id));
            }
            next.run(request).await
        }
        Err(error) => store_failed(error),
    }
}

/// Changes the session id, so that an id from before the login is worthless.
async fn sign_in(session: &Session, id: usize) -> Result<(), session::Error> {
    session.cycle_id().await?;
    session.insert(ACCOUNT, id).await
}

fn store_failed(error: session::Error) -> Response {
    tracing::error!("the session store failed: {error}");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// The accounts of the app, which a real one keeps in a database. The id is the index.
#[derive(Clone, Default)]
struct Accounts(Arc<Mutex<Vec<Account>>>);

#[derive(Clone)]
struct Account {
    name: String,
    openid: Option<OpenId>,
}

impl Accounts {
    async fn get(&self, id: usize) -> Option<Account> {
        self.0.lock().await.get(id).cloned()
    }

    async fn add(&self, name: String) -> usize {
        let mut accounts = self.0.lock().await;
        accounts.push(Account { name, openid: None });
        accounts.len() - 1
    }

    /// Returns the account of this QQ user, a new one at the first login.
    async fn find_or_add(&self, user: &QqUser) -> usize {
        let mut accounts = self.0.lock().await;
        find(&accounts, user.openid()).unwrap_or_else(|| {
            accounts.push(Account {
                name: user.nickname().into(),
                openid: Some(user.openid().clone()),
            });
            accounts.len() - 1
        })
    }

    /// Adds a QQ user to an account. Returns whether no other account has it.
    async fn bind(&self, id: usize, openid: &OpenId) -> bool {
        let mut accounts = self.0.lock().await;
        let is_free = find(&accounts, openid).is_none_or(|owner| owner == id);
        if is_free {
            accounts[id].openid = Some(openid.clone());
        }
        is_free
    }
}

fn find(accounts: &[Account], openid: &OpenId) -> Option<usize> {
    let mut openids = accounts.iter().map(|account| account.openid.as_ref());
    openids.position(|found| found == Some(openid))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::from_env().await?;
    let qq = QqAuthLayer::builder(server.client(), server.keys())
        .without_session()
        .account_of(|head| Some(head.extensions.get::<AccountId>()?.0.to_string()))
        .build()?;
    // Not `Strict`, the default: the callback comes from QQ, without `Strict` cookies.
    let sessions = SessionManagerLayer::new(MemoryStore::default())
        .with_secure(server.is_https())
        .with_same_site(SameSite::Lax);
    let site = Router::new()
        .route("/", get(home))
        .route("/members", get(members))
        .route("/auth/qq/callback", get(callback))
        .route("/local", post(local))
        .route("/logout", post(logout))
        .with_state(Accounts::default())
        .layer(CsrfLayer::new())
        .layer(qq)
        // Outside the layer of QQ, because `account_of` needs the account.
        .layer(from_fn(load_account))
        .layer(sessions);
    server.serve(site).await
}

const BIND: &str = r#"<p><a class="button" href="/auth/qq/login?intent=bind&amp;return_to=/">绑定 QQ <span lang="en">Add QQ</span></a></p>"#;

const SIGNED_OUT: &str = r#"<p>你还没有登录。<br><span lang="en">You are not signed in.</span></p>
<p><a class="button" href="/auth/qq/login">QQ 登录 <span lang="en">Sign in with QQ</span></a></p>
<form method="post" action="/local">
<p><label>或者只填昵称 <span lang="en">Or just a name</span> <input name="name" required></label></p>
<button>登录 <span lang="en">Sign in</span></button></form>"#;
