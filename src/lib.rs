//! QQ login (QQ互联, QQ Connect) for tower and axum: one layer, one handler argument.
//!
//! This page builds a small site, a club, step by step. No app id is needed before the last step: until then
//! [`mock::MockQq`] stands in for QQ. More is in the README and in the examples, which run as they are.
//!
//! # 1. A page for everybody
//!
//! `Option<QqUser>` is who is signed in, if anybody is. A test brings a layer of its own, so it is an argument here.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_qq_auth::{QqAuthLayer, QqUser};
//!
//! fn site(qq: QqAuthLayer) -> Router {
//!     Router::new()
//!         .route("/", get(home))
//!         .layer(qq) // last, on the outermost router
//! }
//!
//! async fn home(user: Option<QqUser>) -> String {
//!     user.map_or("sign in: /auth/qq/login".into(), |user| format!("hello, {}", user.nickname()))
//! }
//! ```
//!
//! **The layer goes on last**: after every route, fallback and `merge`, and not inside a `nest`. What is added later gets
//! no user, or hides the paths of the layer. Where there is no layer, `QqUser` answers 500 and says so, and
//! `Option<QqUser>` is silently `None`.
//!
//! The layer answers three paths. Everything else goes to the app, byte for byte. A request without our cookies costs no
//! allocation, and none costs a task, a lock or a look-up, unless sessions are checked against a list of revoked ones.
//!
//! | path | method | answer |
//! |---|---|---|
//! | `/auth/qq/login?return_to=/x` | GET | off to QQ, with one cookie for the login under way |
//! | the path of the redirect URI | GET | the code is exchanged; signed in and on to `/x` |
//! | `/auth/qq/logout` | POST, from the own site | signed out and on to `return_to` or `/` |
//!
//! # 2. A page that needs somebody, and what an API gets
//!
//! With `QqUser` the handler runs only for somebody who is signed in. A browser is sent to the login and comes back
//! to the page. A program gets 401 and is told where the login is. [`RequireQqUser`] does the same for a group of routes,
//! [`LoginRequired`] without axum.
//!
//! ```
//! # use axum::{Router, body::Body, extract::Request, routing::get};
//! # use tower::ServiceExt;
//! # use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
//! # #[tokio::main]
//! # async fn main() {
//! # let (id, key, callback) = ("101905280", "app-key", "https://club.example/auth/qq/callback");
//! # let client = QqClient::with_service(QqApp::new(id, key, callback).unwrap(), MockQq::new(id, key, callback));
//! # let qq = QqAuthLayer::with_client(client, SessionKeys::generate());
//! async fn me(user: QqUser) -> String {
//!     user.openid().to_string() // the key for a users table
//! }
//! let site = Router::new().route("/me", get(me)).layer(qq);
//!
//! let page = Request::get("/me").header("accept", "text/html").body(Body::empty()).unwrap();
//! let answer = site.clone().oneshot(page).await.unwrap();
//! assert_eq!(answer.status(), 303);
//! assert_eq!(answer.headers()["location"], "/auth/qq/login?return_to=/me");
//!
//! let call = Request::get("/me").header("accept", "application/json").body(Body::empty()).unwrap();
//! let answer = site.oneshot(call).await.unwrap();
//! assert_eq!(answer.status(), 401); // {"code":"login_required","login_url":"/auth/qq/login", ...}
//! assert_eq!(answer.headers()["content-type"], "application/problem+json");
//! assert_eq!(answer.headers()["www-authenticate"], r#"QQ login_url="/auth/qq/login""#);
//! # }
//! ```
//!
//! # 3. Keep people in a table of your own
//!
//! [`on_login`](QqAuthLayer::on_login) runs when QQ has said who it is, before anybody is signed in. If it refuses,
//! fails or panics, nobody is. Here the table is a map; with a database, clone the pool into the
//! future (example `sqlite_users`).
//!
//! ```
//! use std::{collections::HashMap, convert::Infallible, sync::{Arc, Mutex}};
//! use tower_qq_auth::{OpenId, QqAuthLayer, QqLogin, Verdict};
//!
//! #[derive(Default)]
//! struct Member { name: String, logins: u32, banned: bool }
//! type Members = Arc<Mutex<HashMap<OpenId, Member>>>;
//!
//! fn with_members(qq: QqAuthLayer, members: Members) -> QqAuthLayer {
//!     qq.on_login(move |login, _head| {
//!         let verdict = admit(&members, &login);
//!         async move { Ok::<_, Infallible>(verdict) }
//!     })
//! }
//!
//! fn admit(members: &Members, login: &QqLogin) -> Verdict {
//!     let (user, mut members) = (login.user(), members.lock().unwrap());
//!     let member = members.entry(user.openid().clone()).or_default();
//!     if member.banned {
//!         return Verdict::Refuse("this account is closed".into()); // 403, a page with these words
//!     }
//!     if user.profile_complete() {
//!         member.name = user.nickname().into(); // QQ does not always tell
//!     }
//!     member.logins += 1;
//!     match member.logins {
//!         1 => Verdict::AllowTo("/welcome".into()),
//!         _ => Verdict::Allow, // on to where the login was going
//!     }
//! }
//! ```
//!
//! # 4. Buttons to sign in and out
//!
//! Signing out is a form, so that no link and no other site can do it. A nickname is a stranger's text: escape it.
//!
//! ```
//! use axum::response::Html;
//! use tower_qq_auth::{Language, QqUser, login_button};
//!
//! async fn home(user: Option<QqUser>) -> Html<String> {
//!     let Some(user) = user else { return Html(login_button("/auth/qq/login", Language::Chinese)) };
//!     let name = user.nickname().replace('&', "&amp;").replace('<', "&lt;");
//!     Html(format!(
//!         r#"<p>{name}</p><form method="post" action="/auth/qq/logout"><button>退出登录</button></form>"#
//!     ))
//! }
//! # drop(axum::Router::<()>::new().route("/", axum::routing::get(home)));
//! ```
//!
//! # 5. Lock somebody out
//!
//! A session is good until it expires, whatever the table says. With a list of revoked sessions, a logout makes the
//! cookie worthless wherever it may be, and [`revoke_user`](QqAuthLayer::revoke_user) all sessions of somebody. First
//! close the account in the table, or a new login follows at once.
//!
//! ```
//! # use std::{collections::HashMap, sync::{Arc, Mutex}};
//! use tower_qq_auth::{OpenId, QqAuthLayer, RevocationError};
//! # #[derive(Default)] struct Member { banned: bool }
//! # type Members = Arc<Mutex<HashMap<OpenId, Member>>>;
//!
//! # #[cfg(feature = "revocation")]
//! fn with_revocations(qq: QqAuthLayer) -> QqAuthLayer {
//!     qq.revocations(tower_qq_auth::InMemoryRevocations::new()) // feature `revocation`
//! }
//!
//! /// With a clone of the layer, made after all settings.
//! async fn ban(qq: &QqAuthLayer, members: &Members, openid: &OpenId) -> Result<(), RevocationError> {
//!     members.lock().unwrap().entry(openid.clone()).or_default().banned = true;
//!     qq.revoke_user(openid).await // if it fails, try again: the sessions may still be good
//! }
//! ```
//!
//! # 6. Test it
//!
//! [`session_cookie`](QqAuthLayer::session_cookie) signs anybody in, for tests of your handlers. The mock does whole
//! logins as well (example `testing`). Dev-dependencies: `tower` with the feature `util`, this crate with `mock`.
//!
//! ```
//! use axum::{Router, body::Body, extract::Request, routing::get};
//! use tower::ServiceExt;
//! use tower_qq_auth::{OpenId, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
//! # fn site(qq: QqAuthLayer) -> Router {
//! #     Router::new().route("/me", get(async |user: QqUser| user.openid().to_string())).layer(qq)
//! # }
//!
//! #[tokio::main] // in a test: #[tokio::test]
//! async fn main() {
//!     let (id, key, callback) = ("101905280", "app-key", "https://club.example/auth/qq/callback");
//!     let client = QqClient::with_service(QqApp::new(id, key, callback).unwrap(), MockQq::new(id, key, callback));
//!     let qq = QqAuthLayer::with_client(client, SessionKeys::generate());
//!
//!     let user = QqUser::new(OpenId::new("SOMEBODY").unwrap()).with_nickname("小明");
//!     let cookie = qq.session_cookie(&user, None).unwrap();
//!     let request = Request::get("/me").header("cookie", cookie).body(Body::empty()).unwrap();
//!     assert_eq!(site(qq).oneshot(request).await.unwrap().status(), 200);
//! }
//! ```
//!
//! # 7. Go live
//!
//! ```no_run
//! use tower_qq_auth::{QqApp, QqAuthLayer, SessionKeys};
//! # fn site(qq: QqAuthLayer) -> axum::Router { axum::Router::new().layer(qq) }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let qq = QqAuthLayer::new(QqApp::from_env()?, SessionKeys::from_env()?);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     Ok(axum::serve(listener, site(qq)).await?)
//! }
//! ```
//!
//! 1. Set `QQ_APP_ID`, `QQ_APP_KEY` (or `QQ_APP_KEY_FILE`) and `QQ_REDIRECT_URI`, exactly as registered at QQ.
//!    The example `doctor` checks them without a login.
//! 2. Set `QQ_SESSION_KEY` to `openssl rand -hex 32`, and keep it. To change it put the new one in front (`new,old`) and
//!    drop the old one after 7 days; with several machines, first `old,new` everywhere.
//! 3. Serve the site over https, by a proxy that leaves paths as they are and the query of the callback out of its log.
//! 4. More machines need the same keys, and nothing else: no sticky sessions, no shared store. A list of revoked
//!    sessions has to be shared: `RedisRevocations::cached(url)?` (example `cluster`).
//!
//! # What is kept safe
//!
//! 1. A callback is good only in the browser that started the login, once, for 10 minutes. Anything else is refused
//!    before QQ is called.
//! 2. A token counts only if it was made for this app.
//! 3. Where a login ends is a path of this site, whatever it was asked to be.
//! 4. Cookies are sealed, `HttpOnly`, `SameSite=Lax`, and on https `Secure` and `__Host-`.
//! 5. Nothing is taken from `Host`, `X-Forwarded-*` or `Forwarded`: the redirect URI says where the site is.
//! 6. No error, log line or page holds the app key, a code, a token, a state, or an address or a reply of QQ.
//!
//! What is not: whoever steals a session cookie is that person until it expires, or until it is on the list of revoked
//! sessions ([`QqAuthLayer::revocations`]), where the app has one. And your own forms still need protection against
//! forgeries (CSRF) from your other subdomains.
//!
//! # Features
//!
//! | name | what it adds | default |
//! |---|---|---|
//! | `axum` | [`QqUser`], [`QqTokens`], their `Option`s and [`QqLogin`] as handler arguments | yes |
//! | `reqwest` | the built-in way to QQ: `QqAuthLayer::new`, `QqClient::new` | yes |
//! | `mock` | [`mock`]: a QQ for tests and development | |
//! | `metrics` | counters through the `metrics` facade | |
//! | `revocation` | `InMemoryRevocations`, `CachedRevocations`: lists of revoked sessions | |
//! | `redis` | `RedisRevocations`: such a list for several machines | |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "mock"), allow(rustdoc::broken_intra_doc_links))]

mod body;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod flow;
mod future;
mod guard;
mod handle;
mod hook;
mod html;
mod language;
mod layer;
#[cfg(feature = "metrics")]
mod meter;
#[cfg(not(feature = "metrics"))]
#[path = "no_meter.rs"]
mod meter;
#[cfg(feature = "mock")]
pub mod mock;
mod qq;
mod service;
mod session;
mod tokens;
mod user;

#[cfg(feature = "redis")]
pub use self::session::redis_list::RedisRevocations;
#[cfg(feature = "revocation")]
pub use self::session::{cached::CachedRevocations, memory::InMemoryRevocations};
pub use self::{
    body::ResponseBody,
    error::{ConfigError, LoginError, LoginErrorKind},
    future::ResponseFuture,
    guard::{Guarded, GuardedFuture, LoginRequired, RequireQqUser},
    hook::{Failure, Verdict},
    html::login_button,
    language::Language,
    layer::QqAuthLayer,
    qq::{Display, Fault, QqApp, QqClient, QqCode, QqLogin},
    service::QqAuth,
    session::{
        keys::SessionKeys,
        revocation::{
            Answer, LookUp, Revocation, RevocationError, RevocationId, RevocationList, SessionIds,
        },
    },
    tokens::QqTokens,
    user::{InvalidId, OpenId, QqUser, UnionId},
};

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../README.zh-CN.md")]
mod readme_zh_cn {}
