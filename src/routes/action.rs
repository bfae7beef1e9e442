//! The three ways a request can go.

use std::{future::Future, pin::Pin};

use super::context::RequestContext;
use crate::respond::response::OwnResponse;

pub(crate) enum Action {
    /// The app handles it.
    Forward(RequestContext),
    /// The layer answers it.
    Respond(OwnResponse),
    /// The decision has to wait for QQ, a hook or the revocation list.
    Wait(PendingAction),
}

pub(crate) type PendingAction = Pin<Box<dyn Future<Output = Action> + Send>>;
