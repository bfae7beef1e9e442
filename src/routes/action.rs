//! The three ways a request can go.

use std::pin::Pin;

use super::context::RequestContext;
use crate::respond::response::LayerResponse;

pub(crate) enum Action {
    /// The app handles it.
    Forward(RequestContext),
    /// The layer answers it.
    Respond(LayerResponse),
    /// The decision has to wait for QQ, a hook or the revocation list.
    Wait(PendingAction),
}

pub(crate) type PendingAction = Pin<Box<dyn Future<Output = Action> + Send>>;
