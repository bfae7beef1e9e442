//! QQ login (QQ互联, QQ Connect) for tower and axum: one layer, one handler argument.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_qq_auth::{QqApp, QqAuthLayer, QqUser, SessionKeys};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let qq = QqAuthLayer::new(QqApp::from_env()?, SessionKeys::from_env()?);
//! let app: Router = Router::new()
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
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! Layers that must see every answer go after `.layer(qq)`, that is outside it: tracing, request
//! ids, CORS, HSTS, compression, timeouts. See [Mounting](#mounting).
//!
//! The rest of this page builds a small site, a club, step by step. It needs no app id before the
//! last step: until then [`mock::MockQq`] stands in for QQ. The README and the examples have more,
//! `docs/front-ends.md` is about pages on other origins, popups, htmx and path prefixes, and
//! `docs/en/phone-apps.md` about phone apps.
//!
//! # 1. A public page
//!
//! `Option<QqUser>` is the signed-in user, if any. The layer is an argument, so that tests can pass
//! another one.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_qq_auth::{QqAuthLayer, QqUser};
//!
//! fn site(qq: QqAuthLayer) -> Router {
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
//! The layer answers three paths and forwards everything else to the app, byte for byte. A
//! forwarded request without the layer's cookies costs no allocation. Forwarding costs no task,
//! lock or lookup unless sessions are checked against a revocation list.
//!
//! | path | method | answer |
//! |---|---|---|
//! | `/auth/qq/login?return_to=/x` | GET | redirect to QQ, with one cookie for the login under way |
//! | the path of the redirect URI | GET | exchanges the code, starts a session, redirects to `/x` |
//! | `/auth/qq/logout` | POST, from no other site | ends the session, redirects to `return_to` or `/` |
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
//!     user.openid().to_string() // the key for a users table
//! }
//! let site = Router::new().route("/me", get(me)).layer(qq);
//!
//! let page = Request::get("/me").header("accept", "text/html").body(Body::empty()).unwrap();
//! let response = site.clone().oneshot(page).await.unwrap();
//! assert_eq!(response.status(), 303);
//! assert_eq!(response.headers()["location"], "/auth/qq/login?return_to=/me");
//!
//! let call = Request::get("/me").header("accept", "application/json").body(Body::empty()).unwrap();
//! let response = site.oneshot(call).await.unwrap();
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
//! is a map; with a database, let the closure own the pool (example `sqlite_users` in the
//! repository).
//!
//! ```
//! use std::{collections::HashMap, sync::{Arc, Mutex}};
//! use tower_qq_auth::{OpenId, QqAuthLayerBuilder, QqLogin, Verdict};
//!
//! #[derive(Default)]
//! struct Member { id: u32, name: String, logins: u32, banned: bool }
//! type Members = Arc<Mutex<HashMap<OpenId, Member>>>;
//!
//! fn with_members(qq: QqAuthLayerBuilder, members: Members) -> QqAuthLayerBuilder {
//!     qq.on_login(async move |login, _head| Ok(admit(&members, &login)))
//! }
//!
//! fn admit(members: &Members, login: &QqLogin) -> Verdict {
//!     let (user, mut members) = (login.user(), members.lock().unwrap());
//!     let id = members.len() as u32 + 1;
//!     let new = Member { id, ..Member::default() };
//!     let member = members.entry(user.openid().clone()).or_insert(new);
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
//! by [`SignOut`] as a part of its response. Users choose their nicknames freely: escape them.
//!
//! ```
//! use axum::{extract::State, response::Html};
//! use tower_qq_auth::{Language, QqAuthLayer, QqUser, html::login_button};
//!
//! async fn home(State(qq): State<QqAuthLayer>, user: Option<QqUser>) -> Html<String> {
//!     let Some(user) = user else {
//!         let button = login_button(&qq.login_url("/"), Language::Chinese);
//!         return Html(button.expect("login_url returns a path of the site"));
//!     };
//!     let name = user.nickname().replace('&', "&amp;").replace('<', "&lt;");
//!     Html(format!(
//!         r#"<p>{name}</p><form method="post" action="/auth/qq/logout"><button>退出登录</button></form>"#
//!     ))
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
//!     OpenId, QqAuthLayer, QqAuthLayerBuilder,
//!     revocation::{InMemoryRevocations, RevocationError}, // feature `revocation`
//! };
//! # #[derive(Default)] struct Member { banned: bool }
//! # type Members = Arc<Mutex<HashMap<OpenId, Member>>>;
//!
//! fn with_revocations(qq: QqAuthLayerBuilder) -> QqAuthLayerBuilder {
//!     qq.revocations(InMemoryRevocations::new())
//! }
//!
//! async fn ban(qq: &QqAuthLayer, members: &Members, openid: &OpenId) -> Result<(), RevocationError> {
//!     members.lock().unwrap().entry(openid.clone()).or_default().banned = true;
//!     qq.revoke_user(openid).await // on an error try again: the sessions may still count
//! }
//! # }
//! ```
//!
//! # 6. A phone app
//!
//! QQ's SDK hands a phone app an access token. [`QqClient::verify`] asks QQ whose token it is and
//! for which app, and [`QqAuthLayer::begin`] starts the same session as on the website: its example
//! is the whole handler. Give it a route that takes JSON only and refuses a foreign `Origin`, with a
//! small limit of the body and a rate limit at the proxy: a phone's login has no state that keeps
//! the pages of other sites out.
//!
//! At each QQ app a user has another openid, so the key of the members is now [`Identity`], and
//! the UnionID joins the two. Example `phone_app` in the repository.
//!
//! ```
//! use tower_qq_auth::{ConfigError, QqApp};
//!
//! fn app() -> Result<QqApp, ConfigError> {
//!     QqApp::builder_from_env()
//!         .accept_tokens_of(["1106123456"]) // the phone app, at connect.qq.com
//!         .request_union_id()
//!         .build()
//! }
//! ```
//!
//! # 7. Tests
//!
//! [`session_cookie`](QqAuthLayer::session_cookie) signs any user in, for tests of your handlers.
//! The mock runs whole logins as well (example `testing` in the repository). Dev-dependencies:
//! `tower` with the feature `util`, this crate with `mock`.
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
//!     let app = QqApp::new(id, key, callback).unwrap();
//!     let client = QqClient::with_service(app, MockQq::new(id, key, callback));
//!     let qq = QqAuthLayer::new(client, SessionKeys::generate());
//!
//!     let user = QqUser::new(OpenId::new("ANN").unwrap()).with_nickname("小明");
//!     let cookie = qq.session_cookie(&user, None).unwrap();
//!     let request = Request::get("/me").header("cookie", cookie).body(Body::empty()).unwrap();
//!     assert_eq!(site(qq).oneshot(request).await.unwrap().status(), 200);
//! }
//! ```
//!
//! # 8. Going live
//!
//! ```no_run
//! use tower_qq_auth::{QqApp, QqAuthLayer, SessionKeys};
//! # fn site(qq: QqAuthLayer) -> axum::Router { axum::Router::new().layer(qq) }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let qq = QqAuthLayer::builder(QqApp::from_env()?, SessionKeys::from_env()?)
//!         .max_logins_in_flight(1000)
//!         .build()?;
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     Ok(axum::serve(listener, site(qq)).await?)
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
//!    revocation list has to be shared: `RedisRevocations::new(url)?` (example `cluster` in the
//!    repository), with `check().await?` at start.
//!
//! # Mounting
//!
//! Apply the layer to the outermost router, after every route, fallback and `merge`, and not inside
//! a `nest`. Routes added later do not see the user; a later fallback shadows the login paths.
//! Outside the layer `QqUser` answers 401 and says why, and `Option<QqUser>` is always `None`.
//!
//! Each `.layer(..)` of a router is outside the earlier ones; in a `tower::ServiceBuilder` the
//! first one is the outermost. Only a layer outside sees the redirects and pages of this one:
//!
//! ```
//! use axum::{Router, http::HeaderValue, middleware::map_response, response::Response, routing::get};
//! # use axum::{body::Body, extract::Request};
//! # use tower::ServiceExt;
//! # use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
//! # #[tokio::main]
//! # async fn main() {
//! # let (id, key, callback) = ("101905280", "app-key", "https://club.example/auth/qq/callback");
//! # let app = QqApp::new(id, key, callback).unwrap();
//! # let client = QqClient::with_service(app, MockQq::new(id, key, callback));
//! # let qq = QqAuthLayer::new(client, SessionKeys::generate());
//! # async fn me(user: QqUser) -> String { user.openid().to_string() }
//! let site = Router::new()
//!     .route("/me", get(me))
//!     .layer(qq)
//!     .layer(map_response(require_https)); // also for the redirect to the login
//!
//! async fn require_https(mut response: Response) -> Response {
//!     let value = HeaderValue::from_static("max-age=63072000");
//!     response.headers_mut().insert("strict-transport-security", value);
//!     response
//! }
//! # let page = Request::get("/me").header("accept", "text/html").body(Body::empty()).unwrap();
//! # let response = site.oneshot(page).await.unwrap();
//! # assert_eq!(response.status(), 303);
//! # assert!(response.headers().contains_key("strict-transport-security"));
//! # }
//! ```
//!
//! | other layer | place | reason |
//! |---|---|---|
//! | tracing, request ids | outside | sees logins too; inside, a signed-out visit is a 401. `TraceLayer` puts whole URLs into its spans, with the code and state of a callback: log `uri().path()` alone, by `make_span_with` |
//! | CORS | outside | scripts can read every error; inside, only that of a route that needs a user |
//! | HSTS, other headers for every answer | outside | |
//! | compression | outside | inside, the layer's pages are not compressed |
//! | timeouts | outside, above `login_timeout` | after a shorter one the login goes on; a reload gets its session |
//! | sessions of the app, as by tower-sessions | outside | `account_of` can read them; inside they work too |
//! | a page for the app's 5xx errors | either | no answer of the layer is a 5xx |
//! | a default `Cache-Control` | inside | the layer marks a response without one as `private` |
//!
//! # Security
//!
//! 1. A callback is accepted only in the browser that started the login, for 10 minutes, and runs
//!    it once on each machine. Any other is refused before QQ is called.
//! 2. A token counts only if QQ issued it for this app, or for [`QqClient::verify`] for an app on the
//!    site's list.
//! 3. A login ends at a path of this site or a URL of a
//!    [trusted origin](QqAuthLayerBuilder::trusted_origins), whatever `return_to` says.
//! 4. Cookies are sealed, `HttpOnly`, `SameSite=Lax`, and on https `Secure` and `__Host-`.
//! 5. Nothing depends on `Host`, `X-Forwarded-*` or `Forwarded`: the redirect URI names the site.
//! 6. No error, log line or page contains the app key, a code, a token, a state, a URL or a reply
//!    of QQ.
//!
//! Limits: a stolen session cookie works until it expires, or until the session is revoked if the
//! app has a revocation list. Your own forms still need protection against forgery (CSRF) from
//! other subdomains.
//!
//! # Features
//!
//! | name | adds | default |
//! |---|---|---|
//! | `axum` | [`QqUser`], [`QqSession`], [`QqTokens`], their `Option`s and [`QqLogin`] as handler arguments, [`QqSession`] and [`SignOut`] in responses | yes |
//! | `reqwest` | the built-in HTTP client: `QqClient::new`, and a [`QqApp`] as a client | yes |
//! | `mock` | [`mock`]: a QQ for tests and development | |
//! | `metrics` | counters, histograms and a gauge through the `metrics` facade | |
//! | `revocation` | `revocation`: lists of revoked sessions, and one in memory | |
//! | `redis` | `RedisRevocations`: such a list for several machines | |
//!
//! Install the recorder of the metrics before you build the layer, which describes them and starts
//! each counter at zero. `docs/en/deploy.md` lists them, with alert rules.
//!
//! # Source
//!
//! A request passes `service` and `routes`, which decides on it with `request`, `session`,
//! `login_state`, `logins` and `revocation`. `qq` talks to QQ, `admission` asks the app's `hooks`
//! and starts the session, `respond` builds the layer's answers. `builder` turns the settings into
//! a `site`. Every import names the module that defines the item, and all imports point down.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "mock"), allow(rustdoc::broken_intra_doc_links))]

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
    error::{LoginError, LoginErrorKind},
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

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../docs/sessions.md")]
mod sessions_page {}

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../docs/front-ends.md")]
mod front_ends_page {}

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../README.zh-CN.md")]
mod readme_zh_cn {}

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../docs/front-ends.zh-CN.md")]
mod front_ends_page_zh_cn {}

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../docs/sessions.zh-CN.md")]
mod sessions_page_zh_cn {}

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../docs/en/phone-apps.md")]
mod phone_apps_page {}

#[cfg(all(doctest, feature = "axum", feature = "reqwest", feature = "mock"))]
#[doc = include_str!("../docs/zh-CN/phone-apps.md")]
mod phone_apps_page_zh_cn {}
