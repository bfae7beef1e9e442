//! The signed-in user in the extensions of a request.

use std::sync::Arc;

use http::{Extensions, request};

use crate::login::QqLogin;
use crate::qq_session::QqSession;
use crate::request::head::RequestHead;
use crate::session::current::CurrentSession;
use crate::sign_out::SignOut;
use crate::site::Site;
use crate::tokens::QqTokens;
use crate::user::QqUser;

/// Removes what an outer service may have inserted under the layer's types, and inserts the session
/// and its user, if there is one.
pub(super) fn set_user(extensions: &mut Extensions, site: &Arc<Site>, current: &CurrentSession) {
    if !extensions.is_empty() {
        extensions.remove::<QqUser>();
        extensions.remove::<QqSession>();
        extensions.remove::<QqLogin>();
        extensions.remove::<QqTokens>();
        extensions.remove::<SignOut>();
    }
    if let Some(session) = current.valid() {
        extensions.insert(session.user.clone());
        extensions.insert(QqSession::of_request(site, session));
    }
}

/// Returns the head of a request as the app's hooks see it.
pub(super) fn parts_for_hook(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    current: &CurrentSession,
) -> request::Parts {
    let mut parts = head.to_parts();
    set_user(&mut parts.extensions, site, current);
    parts
}
