//! A front end on an origin of its own: a page of static files and, on another origin, its API.
//!
//! ```text
//! cargo run -p sites --example front_end
//! ```
//!
//! In production the page is at `https://www.example.com`, perhaps on a CDN, and the API at
//! `https://api.example.com`, where the redirect URI points to. Here they are two ports: `LISTEN`
//! is the page's address, and `API_LISTEN` the API's. With the variables of QQ, `PAGE_ORIGIN` is
//! the origin that users see the page on.
//!
//! Three settings make it work:
//!
//! 1. `trusted_origins` names the origin of the page. A login may end there then, and the scripts
//!    there may start a login and sign out. The page and the API must be of one site, such as
//!    `example.com`: browsers send the session cookie to no other.
//! 2. A `CorsLayer` outside of the layer allows that origin and credentials. Inside, it would miss
//!    the layer's own responses, such as the 401 that tells the page to ask for a login.
//! 3. Each `fetch` of the page has `credentials: "include"`. Otherwise the browser sends no cookie
//!    to another origin, and keeps none that it gets.
//!
//! Sign in by a redirect or in a popup. Write a note while signed out: it is saved after the login,
//! and nothing is typed twice. Bind a second QQ to the account: both sign in to it from then on.
//! Open a second tab: it follows what happens in the first.

use std::{
    collections::HashMap,
    env,
    error::Error,
    future::IntoFuture,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, Method, header},
    response::{Html, IntoResponse, Redirect},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use sites::{Server, listen, shutdown_signal, with_style};
use tower_http::cors::CorsLayer;
use tower_qq_auth::{OpenId, QqAuthLayer, QqLogin, QqSession, QqUser, Verdict};

/// Returns the API for the page on this origin. Its home page is where a login ends that has no
/// other destination.
fn api(qq: QqAuthLayer, accounts: Accounts, page_origin: &str) -> Result<Router, Box<dyn Error>> {
    let page = Redirect::to(&format!("{page_origin}/"));
    let cors = CorsLayer::new()
        .allow_origin(page_origin.parse::<HeaderValue>()?)
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE]);
    Ok(Router::new()
        .route("/", get(page))
        .route("/api/me", get(me))
        .route("/api/account", get(account))
        .route("/api/notes", post(save_note))
        .with_state(accounts)
        .layer(qq)
        .layer(cors))
}

/// Returns the signed-in user. A page that may be shown signed out gets `null`, not 401.
async fn me(user: Option<QqUser>) -> Json<Option<QqUser>> {
    Json(user)
}

async fn account(State(accounts): State<Accounts>, session: QqSession) -> Json<Account> {
    Json(accounts.get(session.account().unwrap_or_default()))
}

#[derive(Deserialize, Serialize)]
struct Note {
    text: String,
}

/// `Json` accepts `application/json` only, for which browsers ask the CORS layer first. So no other
/// site can send a note with the user's cookie.
async fn save_note(user: QqUser, Json(note): Json<Note>) -> Json<Note> {
    tracing::info!("{} saved a note", user.openid());
    Json(note)
}

/// The account of each QQ user. A real app keeps it in a database, as `sqlite_users` does.
#[derive(Clone, Default)]
struct Accounts(Arc<Mutex<HashMap<OpenId, Entry>>>);

struct Entry {
    account: String,
    nickname: String,
}

#[derive(Serialize)]
struct Account {
    id: String,
    /// The nicknames of its QQ users.
    users: Vec<String>,
}

impl Accounts {
    /// Signs in to the account of the QQ user, a new one at the first login. A login with the
    /// intent `bind` adds the QQ user to the account of the session that started it.
    fn admit(&self, login: &QqLogin, session: Option<&QqSession>) -> Verdict {
        let user = login.user();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (entries.len() + 1).to_string();
        let entry = entries.get(user.openid());
        let account = match (login.intent(), entry) {
            (Some("bind"), entry) => {
                let Some(account) = session.and_then(QqSession::account) else {
                    return Verdict::refuse("请先登录。");
                };
                if entry.is_some_and(|entry| entry.account != account) {
                    return Verdict::refuse("该 QQ 已绑定其他账号。");
                }
                account.to_owned()
            }
            (_, Some(entry)) => entry.account.clone(),
            (_, None) => next,
        };
        let entry = Entry {
            account: account.clone(),
            nickname: user.nickname().to_owned(),
        };
        entries.insert(user.openid().clone(), entry);
        Verdict::allow().with_account(account)
    }

    fn get(&self, id: &str) -> Account {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = entries.values().filter(|entry| entry.account == id);
        let mut users: Vec<_> = of_account.map(|entry| entry.nickname.clone()).collect();
        users.sort();
        Account {
            id: id.to_owned(),
            users,
        }
    }
}

/// Returns the page of static files, which any host could serve.
fn page(api_origin: &str) -> Router {
    let html = include_str!("index.html").replace("{api}", api_origin);
    let policy = POLICY.replace("{api}", api_origin);
    let headers = [(header::CONTENT_SECURITY_POLICY, policy)];
    let script = |text: &'static str| {
        let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
        get(async move || (headers, text))
    };
    let site = Router::new()
        .route(
            "/",
            get(async move || (headers, Html(html)).into_response()),
        )
        .route("/app.js", script(include_str!("app.js")))
        .route("/qq-login.js", script(include_str!("qq-login.js")));
    with_style(site)
}

/// Scripts and styles of the page's origin, calls of the API, and no HTML made from text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src {api}; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = listen("LISTEN", "127.0.0.1:3000").await?;
    let server = Server::with_listener(listen("API_LISTEN", "127.0.0.1:3001").await?)?;
    let page_origin = match env::var("PAGE_ORIGIN") {
        Ok(origin) => origin,
        Err(_) => format!("http://{}", listener.local_addr()?),
    };
    let accounts = Accounts::default();
    let hook = accounts.clone();
    let qq = QqAuthLayer::builder(server.client(), server.keys())
        .trusted_origins([&page_origin])
        .on_login(async move |login, head| Ok(hook.admit(&login, head.extensions.get())))
        .build()?;
    let page =
        axum::serve(listener, page(server.origin())).with_graceful_shutdown(shutdown_signal()?);
    let page = tokio::spawn(page.into_future());
    let api = api(qq, accounts, &page_origin)?;
    server
        .with_page(format!("{page_origin}/"))
        .serve(api)
        .await?;
    Ok(page.await??)
}
