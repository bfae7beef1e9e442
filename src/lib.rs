//! QQ login for tower and axum.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod flow;
mod future;
mod guard;
mod layer;
#[cfg(feature = "mock")]
pub mod mock;
mod qq;
mod service;
mod session;
mod user;

pub use self::{
    body::ResponseBody,
    error::{ConfigError, LoginError, LoginErrorKind},
    future::ResponseFuture,
    guard::LoginRequired,
    layer::QqAuthLayer,
    qq::{Display, QqApp, QqClient, QqLogin, QqTokens},
    service::QqAuth,
    session::keys::SessionKeys,
    user::{InvalidId, OpenId, QqUser, UnionId},
};
