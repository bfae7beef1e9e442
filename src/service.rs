//! The middleware, its response future and its response body.

pub(crate) mod body;
mod future;
pub(crate) mod middleware;
pub(crate) mod readiness;

pub use self::{body::ResponseBody, future::ResponseFuture, middleware::QqAuth};
