//! The signed-in user in the extensions of a request.

use http::{Extensions, request};

use crate::login::QqLogin;
use crate::request::head::RequestHead;
use crate::session::current::CurrentSession;
use crate::tokens::QqTokens;
use crate::user::QqUser;

/// Removes what an outer service may have inserted under the layer's types, and inserts the user of
/// the session, if any.
pub(super) fn set_user(extensions: &mut Extensions, current: &CurrentSession) {
    if !extensions.is_empty() {
        extensions.remove::<QqUser>();
        extensions.remove::<QqLogin>();
        extensions.remove::<QqTokens>();
    }
    if let Some(session) = current.valid() {
        extensions.insert(session.user.clone());
    }
}

/// Returns the head of a request as the app's hooks see it.
pub(super) fn parts_for_hook(head: RequestHead<'_>, current: &CurrentSession) -> request::Parts {
    let mut parts = head.to_parts();
    set_user(&mut parts.extensions, current);
    parts
}
