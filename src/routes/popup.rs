//! The end of a login in a popup. The page that opened it learns the outcome: `ok` or an error
//! code, never a name or a secret.
//!
//! 1. If the login ends at a page of this site, the popup shows a page of the layer, which
//!    broadcasts the outcome. After a failure it is the usual page.
//! 2. If it ends at a trusted origin, where no page of this site can broadcast, the browser is sent
//!    there with `#qq_login=<outcome>`.

use crate::language::Language;
use crate::login_state::pending::PendingLogin;
use crate::respond::popup_page;
use crate::respond::popup_script::OUTCOME_OK;
use crate::respond::response::{LayerResponse, see_other};
use crate::return_to::ReturnTo;

/// Ends the popup of a login that succeeded. `destination` may be the choice of the app's hook.
pub(super) fn end_popup(
    login: &PendingLogin,
    destination: &ReturnTo,
    language: Language,
) -> LayerResponse {
    match outcome_url(login, OUTCOME_OK) {
        Some(page) => see_other(&page),
        None => popup_page(&destination.to_location(), language),
    }
}

/// Returns the URL at which a popup ends that a page of a trusted origin opened.
pub(super) fn outcome_url(login: &PendingLogin, outcome: &str) -> Option<String> {
    let return_to = &login.return_to;
    let has_other_origin = login.is_popup && return_to.is_absolute();
    has_other_origin.then(|| return_to.to_location_with_fragment(&format!("qq_login={outcome}")))
}
