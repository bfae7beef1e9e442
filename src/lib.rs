//! QQ login (QQ互联, QQ Connect) for tower and axum: one layer, one handler argument.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_qq_auth::{QqApp, QqAuthLayer, QqUser, SessionKeys};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let qq = QqAuthLayer::new(QqApp::from_env()?, SessionKeys::from_env()?);
//! let site: Router = Router::new()
//!     .route("/", get(home))
//!     .route("/me", get(me))
//!     .layer(qq);
//!
//! async fn home(user: Option<QqUser>) -> String {
//!     user.map_or("sign in: /auth/qq/login".into(), |user| format!("hello, {}", user.nickname()))
//! }
//!
//! async fn me(user: QqUser) -> String {
//!     user.openid().to_string() // signed out: redirect to the login, or 401 for an API
//! }
//! # drop(site);
//! # Ok(())
//! # }
//! ```
//!
//! This page builds a small site, a club, step by step. [`mock::MockQq`] stands in for QQ until the
//! last step, so every step runs without an app id. The [`guide`] has a page for each question that
//! comes up later, in English and in [Chinese](guide::zh_cn).
//!
//! # 1. A site that signs users in
//!
//! The whole program, with `tower-qq-auth` (feature `mock`), `axum` and `tokio` as its dependencies:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let (id, key) = ("101905280", "made-up-app-key");
//!     let callback = "http://127.0.0.1:3000/auth/qq/callback";
//!     let mock = MockQq::new(id, key, callback);
//!     let app = QqApp::builder(id, key, callback)
//!         .base_url("http://127.0.0.1:3000/mock-qq") // where browsers find the mock
//!         .build()?;
//!     let client = QqClient::with_service(app, mock.clone());
//!     let qq = QqAuthLayer::new(client, SessionKeys::generate());
//!
//!     let site = club(qq).nest_service("/mock-qq", mock);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     Ok(axum::serve(listener, site).await?)
//! }
//!
//! fn club(qq: QqAuthLayer) -> Router {
//!     Router::new()
//!         .route("/", get(home))
//!         .layer(qq) // after every route, on the outermost router
//! }
//!
//! async fn home(user: Option<QqUser>) -> String {
//!     user.map_or("sign in: /auth/qq/login".into(), |user| format!("hello, {}", user.nickname()))
//! }
//! ```
//!
//! Open <http://127.0.0.1:3000/auth/qq/login> (not `localhost`: the redirect URI names the host),
//! and choose a user. The layer answers three paths and forwards everything else to the app:
//!
//! | path | method | answer |
//! |---|---|---|
//! | `/auth/qq/login?return_to=/x` | GET | redirect to QQ, with one cookie for the login under way |
//! | the path of the redirect URI | GET | exchanges the code, starts a session, redirects to `/x` |
//! | `/auth/qq/logout` | POST, from no other site | ends the session, redirects to `return_to` or `/` |
//!
//! Each further step adds to `club`.
//!
//! # 2. A page for users, and the answer to an API
//!
//! With `QqUser` the handler runs only for a signed-in user. A browser is sent to the login and
//! comes back to the page; a program gets 401 and the login URL. [`RequireQqUser`] guards a group
//! of routes; without axum, use [`LoginRequired`].
//!
//! ```
//! # use axum::{Router, body::Body, extract::Request, routing::get};
//! # use tower::ServiceExt;
//! # use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
//! # #[tokio::main]
//! # async fn main() {
//! # let (id, key, callback) = ("101905280", "app-key", "https://club.example/auth/qq/callback");
//! # let app = QqApp::new(id, key, callback).unwrap();
//! # let client = QqClient::with_service(app, MockQq::new(id, key, callback));
//! # let qq = QqAuthLayer::new(client, SessionKeys::generate());
//! async fn me(user: QqUser) -> String {
//!     user.identity().to_string() // the key for a users table
//! }
//! let club = Router::new().route("/me", get(me)).layer(qq);
//!
//! let page = Request::get("/me").header("accept", "text/html").body(Body::empty()).unwrap();
//! let response = club.clone().oneshot(page).await.unwrap();
//! assert_eq!(response.status(), 303);
//! assert_eq!(response.headers()["location"], "/auth/qq/login?return_to=/me");
//!
//! let call = Request::get("/me").header("accept", "application/json").body(Body::empty()).unwrap();
//! let response = club.oneshot(call).await.unwrap();
//! assert_eq!(response.status(), 401); // {"code":"login_required","login_url":"/auth/qq/login", ...}
//! assert_eq!(response.headers()["content-type"], "application/problem+json");
//! assert_eq!(response.headers()["www-authenticate"], r#"QQ login_url="/auth/qq/login""#);
//! # }
//! ```
//!
//! # 3. A users table
//!
//! [`on_login`](QqAuthLayerBuilder::on_login) runs after QQ has confirmed the user and before the
//! session starts. If the hook refuses, fails or panics, the user is not signed in. Here the table
//! is a map; with a database, let the closure own the pool.
//!
//! ```
//! use std::{collections::HashMap, sync::{Arc, Mutex}};
//! use tower_qq_auth::{Identity, QqAuthLayerBuilder, QqLogin, Verdict};
//!
//! #[derive(Default)]
//! struct Member { id: u32, name: String, logins: u32, banned: bool }
//! type Members = Arc<Mutex<HashMap<Identity, Member>>>;
//!
//! fn with_members(qq: QqAuthLayerBuilder, members: Members) -> QqAuthLayerBuilder {
//!     qq.on_login(async move |login, _head| Ok(admit(&members, &login)))
//! }
//!
//! fn admit(members: &Members, login: &QqLogin) -> Verdict {
//!     let (user, mut members) = (login.user(), members.lock().unwrap());
//!     let id = members.len() as u32 + 1;
//!     let new = Member { id, ..Member::default() };
//!     let member = members.entry(user.identity()).or_insert(new);
//!     if member.banned {
//!         return Verdict::refuse("this account is closed"); // a page with status 403
//!     }
//!     if user.profile_complete() {
//!         member.name = user.nickname().into(); // QQ may send no profile
//!     }
//!     member.logins += 1;
//!     let verdict = Verdict::allow().with_account(member.id.to_string());
//!     match member.logins {
//!         1 => verdict.redirect_to("/welcome"),
//!         _ => verdict,
//!     }
//! }
//! ```
//!
//! Every page then has the member's own id, without a query. [`QqSession`] is the session as
//! handlers see it; returned as a part of a response, a changed one replaces it.
//!
//! ```
//! use tower_qq_auth::QqSession;
//!
//! async fn orders(session: QqSession) -> String {
//!     format!("orders of member {}", session.account().unwrap_or("none"))
//! }
//! # drop(axum::Router::<()>::new().route("/", axum::routing::get(orders)));
//! ```
//!
//! # 4. Buttons to sign in and out
//!
//! Signing out is a form, so that no link and no other site can do it. A handler ends the session
//! by [`SignOut`] as a part of its response. Users choose their nicknames freely: a template engine,
//! here `maud`, escapes them.
//!
//! ```
//! use axum::{extract::State, response::Html};
//! use maud::{PreEscaped, html};
//! use tower_qq_auth::{Language, QqAuthLayer, QqUser, html::login_button};
//!
//! async fn home(State(qq): State<QqAuthLayer>, user: Option<QqUser>) -> Html<String> {
//!     let button = login_button(&qq.login_url("/"), Language::Chinese);
//!     let button = button.expect("login_url returns a path of the site");
//!     let page = html! {
//!         @if let Some(user) = user {
//!             p { (user.nickname()) }
//!             form method="post" action="/auth/qq/logout" { button { "退出登录" } }
//!         } @else {
//!             (PreEscaped(button))
//!         }
//!     };
//!     Html(page.into_string())
//! }
//! # drop(axum::Router::<QqAuthLayer>::new().route("/", axum::routing::get(home)));
//! ```
//!
//! # 5. Locking a user out
//!
//! A session counts until it expires, whatever the table says. With a revocation list, logout
//! ends every copy of the cookie, and `QqAuthLayer::revoke_user` ends all sessions of a
//! user, also those whose login is under way. Close the account in the table first, or the user can
//! simply sign in again. If a user deletes the account, revoke their sessions likewise, and never
//! give its id to another user.
//!
//! ```
//! # #[cfg(feature = "revocation")]
//! # mod club {
//! # use std::{collections::HashMap, sync::{Arc, Mutex}};
//! use tower_qq_auth::{
//!     Identity, QqAuthLayer, QqAuthLayerBuilder,
//!     revocation::{InMemoryRevocations, RevocationError}, // feature `revocation`
//! };
//! # #[derive(Default)] struct Member { banned: bool }
//! # type Members = Arc<Mutex<HashMap<Identity, Member>>>;
//!
//! fn with_revocations(qq: QqAuthLayerBuilder) -> QqAuthLayerBuilder {
//!     qq.revocations(InMemoryRevocations::new())
//! }
//!
//! async fn ban(qq: &QqAuthLayer, members: &Members, user: Identity) -> Result<(), RevocationError> {
//!     members.lock().unwrap().entry(user.clone()).or_default().banned = true;
//!     qq.revoke_user(user).await // on an error try again: the sessions may still count
//! }
//! # }
//! ```
//!
//! # 6. A phone app
//!
//! QQ's SDK hands a phone app an access token. [`QqClient::verify`] asks QQ whose token it is and
//! for which app, and [`QqAuthLayer::begin`] starts the same session as on the website. A user has
//! another openid at each QQ app, so the key of the members is the [`Identity`].
//!
//! ```
//! use axum::{Json, extract::State};
//! use tower_qq_auth::{ConfigError, LoginError, QqApp, QqAuthLayer, QqSession, QqUser};
//!
//! fn app() -> Result<QqApp, ConfigError> {
//!     QqApp::builder_from_env()
//!         .accept_tokens_of(["1106123456"]) // the phone app, at connect.qq.com
//!         .build()
//! }
//!
//! async fn log_in(
//!     State(qq): State<QqAuthLayer>,
//!     Json(access_token): Json<String>,
//! ) -> Result<(QqSession, Json<QqUser>), LoginError> {
//!     let session = qq.begin(qq.client().verify(&access_token).await?).await?;
//!     let user = session.user().clone();
//!     Ok((session, Json(user)))
//! }
//! # drop(axum::Router::<QqAuthLayer>::new().route("/", axum::routing::post(log_in)));
//! ```
//!
//! No state keeps the pages of other sites out of this route. The page on [phone apps](guide::phone_apps)
//! says what does, and how the UnionID joins a user's identities.
//!
//! # 7. Tests
//!
//! [`session_cookie`](QqAuthLayer::session_cookie) signs any user in, for tests of your handlers.
//! The mock runs whole logins as well. Dev-dependencies: `tower` with the feature `util`, this
//! crate with `mock`.
//!
//! ```
//! use axum::{Router, body::Body, extract::Request, routing::get};
//! use tower::ServiceExt;
//! use tower_qq_auth::{OpenId, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
//! # fn club(qq: QqAuthLayer) -> Router {
//! #     Router::new().route("/me", get(async |user: QqUser| user.openid().to_string())).layer(qq)
//! # }
//!
//! #[tokio::main] // in a test: #[tokio::test]
//! async fn main() {
//!     let (id, key, callback) = ("101905280", "app-key", "https://club.example/auth/qq/callback");
//!     let app = QqApp::new(id, key, callback).unwrap();
//!     let client = QqClient::with_service(app, MockQq::new(id, key, callback));
//!     let qq = QqAuthLayer::new(client, SessionKeys::generate());
//!
//!     let user = QqUser::new(OpenId::new("ANN").unwrap()).with_nickname("小明");
//!     let cookie = qq.session_cookie(&user, None).unwrap();
//!     let request = Request::get("/me").header("cookie", cookie).body(Body::empty()).unwrap();
//!     assert_eq!(club(qq).oneshot(request).await.unwrap().status(), 200);
//! }
//! ```
//!
//! # 8. Going live
//!
//! ```no_run
//! use tower_qq_auth::{QqApp, QqAuthLayer, SessionKeys};
//! # fn club(qq: QqAuthLayer) -> axum::Router { axum::Router::new().layer(qq) }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let qq = QqAuthLayer::builder(QqApp::from_env()?, SessionKeys::from_env()?)
//!         .max_logins_in_flight(1000)
//!         .build()?;
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     Ok(axum::serve(listener, club(qq)).await?)
//! }
//! ```
//!
//! 1. Set `QQ_APP_ID`, `QQ_APP_KEY` (or `QQ_APP_KEY_FILE`) and `QQ_REDIRECT_URI`, exactly as
//!    registered at QQ. The example `qq-doctor` checks them without a login.
//! 2. Set `QQ_SESSION_KEY` (or `QQ_SESSION_KEY_FILE`) to the output of `openssl rand -hex 32`, and
//!    keep it. To change it, put the new key in front (`new,old`) and drop the old one after 7
//!    days; with several machines, first set `old,new` everywhere.
//! 3. Serve the site over https, behind a proxy that forwards paths unchanged (or set
//!    [`public_prefix`](QqAuthLayerBuilder::public_prefix)) and keeps the query
//!    of the callback out of its log.
//! 4. Several machines need the same keys and nothing else: no sticky sessions, no shared store. A
//!    revocation list has to be shared: `RedisRevocations::new(url)?`, with `check().await?` at
//!    start.
//!
//! # Mounting
//!
//! Apply the layer to the outermost router, after every route, fallback and `merge`, and not inside
//! a `nest`. Routes added later do not see the user; a later fallback shadows the login paths.
//! Outside the layer `QqUser` answers 401 and says why, and `Option<QqUser>` is always `None`.
//!
//! Layers that must see every answer go after `.layer(qq)`, that is outside it: tracing, request
//! ids, CORS, HSTS, compression, timeouts. The page on [what the web sees](guide::web) has the
//! cases and the reasons.
//!
//! # Security
//!
//! The page on [security](guide::security) says what the layer promises and what stays yours. Above
//! all: your own forms need protection against forgery (CSRF) from other subdomains, and without a
//! revocation list a stolen session cookie works until it expires.
//!
//! # Features
//!
//! | name | adds | default |
//! |---|---|---|
//! | `axum` | [`QqUser`], [`QqSession`], [`QqTokens`], their `Option`s and [`QqLogin`] as handler arguments; [`QqSession`], [`QqTokens`] and [`SignOut`] in responses; the crate's errors and [`LoginRequired`] as responses | yes |
//! | `reqwest` | the built-in HTTP client: `QqClient::new`, and a [`QqApp`] as a client | yes |
//! | `mock` | [`mock`]: a QQ for tests and development | |
//! | `metrics` | counters, histograms and a gauge through the `metrics` facade | |
//! | `revocation` | `revocation`: lists of revoked sessions, and one in memory | |
//! | `redis` | `RedisRevocations`: such a list for several machines | |
//!
//! Install the recorder of the metrics before you build the layer, which describes them and starts
//! each counter at zero. The page on [deployment](guide::deploy) lists them, with alert rules.
//!
//! # Source
//!
//! A request passes `service` and `routes`, which decides on it with `request`, `session`,
//! `login_state`, `logins` and `revocation`. `qq` talks to QQ, `admission` asks the app's `hooks`
//! and starts the session, `respond` builds the layer's answers. `builder` turns the settings into
//! a `site`. Every import names the module that defines the item, and all imports point down.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(
        feature = "axum",
        feature = "mock",
        feature = "redis",
        feature = "reqwest"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

mod absolute_url;
mod admission;
mod builder;
mod clock;
mod config;
mod error;
mod events;
#[cfg(feature = "axum")]
mod extract;
pub mod guard;
#[cfg(all(
    doc,
    feature = "axum",
    feature = "mock",
    feature = "redis",
    feature = "reqwest"
))]
pub mod guide;
pub mod hooks;
pub mod html;
mod identity;
mod ids;
mod language;
mod layer;
mod local_path;
mod log_limit;
mod login;
mod login_required;
mod login_state;
mod logins;
mod messages;
#[cfg(feature = "metrics")]
mod meter;
#[cfg(not(feature = "metrics"))]
#[path = "no_meter.rs"]
mod meter;
#[cfg(feature = "mock")]
pub mod mock;
mod origins;
mod paths;
mod percent;
mod qq;
mod qq_session;
mod random;
mod redirect_uri;
mod request;
mod require_qq_user;
mod respond;
mod return_to;
#[cfg(feature = "revocation")]
pub mod revocation;
mod routes;
pub mod service;
pub mod session;
#[cfg(feature = "revocation")]
mod session_check;
#[cfg(not(feature = "revocation"))]
#[path = "no_session_check.rs"]
mod session_check;
mod sign_out;
mod site;
mod tokens;
mod user;

pub use self::{
    builder::QqAuthLayerBuilder,
    config::ConfigError,
    error::{LoginError, kind::LoginErrorKind},
    hooks::on_login::Verdict,
    identity::Identity,
    ids::{InvalidId, OpenId, UnionId},
    language::Language,
    layer::QqAuthLayer,
    login::QqLogin,
    login_required::LoginRequired,
    qq::{app::QqApp, app_builder::QqAppBuilder, client::QqClient, codes},
    qq_session::QqSession,
    require_qq_user::RequireQqUser,
    session::keys::SessionKeys,
    sign_out::SignOut,
    tokens::QqTokens,
    user::QqUser,
};

#[cfg(all(
    doctest,
    feature = "axum",
    feature = "mock",
    feature = "redis",
    feature = "reqwest"
))]
mod readmes {
    #[doc = include_str!("../README.md")]
    mod english {}

    #[doc = include_str!("../README.zh-CN.md")]
    mod chinese {}
}
