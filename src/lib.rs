//! QQ login (QQ互联, QQ Connect) for tower and axum: one layer, one handler argument.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_qq_auth::{QqApp, QqAuthLayer, QqUser, SessionKeys};
//!
//! # fn main() -> Result<(), tower_qq_auth::ConfigError> {
//! let qq = QqAuthLayer::new(QqApp::from_env()?, SessionKeys::from_env()?);
//! let app: Router = Router::new()
//!     .route("/", get(home))
//!     .route("/me", get(me))
//!     .layer(qq); // last, on the outermost router
//!
//! async fn home(user: Option<QqUser>) -> String {
//!     user.map_or("sign in: /auth/qq/login".into(), |user| format!("hello, {}", user.nickname()))
//! }
//!
//! async fn me(user: QqUser) -> String {
//!     user.openid().to_string() // signed out: to the login and back, or 401 for an API
//! }
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! # What the layer answers
//!
//! | path | method | answer |
//! |---|---|---|
//! | `/auth/qq/login?return_to=/x` | GET | off to QQ, with one cookie for the login under way |
//! | the path of the redirect URI | GET | the code is exchanged; signed in and on to `/x` |
//! | `/auth/qq/logout` | POST, from the own site | signed out and on to `return_to` or `/` |
//!
//! Everything else goes to the app, byte for byte, with a [`QqUser`] in the request's extensions exactly when somebody
//! is signed in. A request without our cookies costs no allocation, and none costs a task, a lock or a look-up, unless
//! sessions are checked against a list of revoked ones.
//!
//! ```text
//!  browser                layer                                   QQ
//!    │  GET /auth/qq/login  │                                      │
//!    ├─────────────────────►│ state, return_to ─► sealed cookie    │
//!    │◄──── 303 to QQ ──────┤                                      │
//!    ├──────────────────────┼───── the person agrees ─────────────►│
//!    │◄─────────────────────┼───── 302 to the redirect URI ────────┤
//!    │  GET …?code&state    │                                      │
//!    ├─────────────────────►│ state fits the cookie?               │
//!    │                      ├─ code ─────────────────── token ────►│
//!    │                      ├─ token ── openid, and is it ours? ──►│  (where the token came without)
//!    │                      ├─ openid ──────────────── profile ───►│
//!    │◄── 303 + session ────┤ sealed cookie                        │
//! ```
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
//! What is not: whoever steals a session cookie is that person until it expires, or until it is on a list of revoked
//! sessions ([`QqAuthLayer::revocations`]), where the app has one.
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
//!
//! # Where to find what
//!
//! A request comes in at `service`, which has one decision to make and asks `flow`; `flow` knows the three paths and
//! asks `session` who somebody is and `qq` to complete a login. Neither of those knows the other. In the order to read:
//!
//! 1. `layer`: what the app sets. `service`, `future` and `body`: a request on its way in, and its response.
//! 2. `flow` and its folder: what each path answers.
//! 3. `session` and its folder: cookies, keys, and lists of revoked sessions.
//! 4. `qq` and its folder: QQ's protocol.
//! 5. The leaves: `user`, `tokens`, `error`, `hook`, `guard`, `extract`, `html`, `language`, `meter`; and `mock`.
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
