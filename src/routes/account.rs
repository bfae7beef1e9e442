//! The account for which a login with an intent is started. The login must end in the same one.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use super::user::parts_for_hook;
use crate::error::LoginError;
use crate::error::kind::LoginErrorKind::{AppFailed, Misconfigured};
use crate::hooks::account_of::AccountOf;
use crate::request::head::RequestHead;
use crate::session::current::CurrentSession;
use crate::site::Site;

/// Returns whether the app's own hook knows an account for this request.
pub(super) fn has_account(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    current: &CurrentSession,
) -> bool {
    let Some(hook) = &site.account_of else {
        return false;
    };
    matches!(call_hook(hook, site, head, current), Ok(Some(_)))
}

/// Returns a digest of the account to which a request belongs, if it belongs to one.
pub(super) fn account_digest(
    site: &Arc<Site>,
    head: RequestHead<'_>,
    current: &CurrentSession,
) -> Result<Option<[u8; 16]>, LoginError> {
    if current.is_unverified() {
        return Err(LoginError::unverified());
    }
    // Each prefix says what follows, so that an identity never passes for an account of the app.
    let account = match &site.account_of {
        Some(hook) => {
            let account = call_hook(hook, site, head, current)?;
            account.map(|account| format!("account {account}"))
        }
        None if !site.keeps_sessions => {
            let detail = "the account is unknown: set `QqAuthLayerBuilder::account_of`";
            return Err(LoginError::new(Misconfigured, detail));
        }
        None => {
            let session = current.valid();
            session.map(|session| match &session.account {
                Some(account) => format!("account {account}"),
                None => format!("identity {}", session.user.identity()),
            })
        }
    };
    Ok(account.map(|account| {
        let mut half = [0; 16];
        half.copy_from_slice(&digest(&SHA256, account.as_bytes()).as_ref()[..16]);
        half
    }))
}

/// Asks the app's hook for the account of a request. The error is logged.
fn call_hook(
    hook: &AccountOf,
    site: &Arc<Site>,
    head: RequestHead<'_>,
    current: &CurrentSession,
) -> Result<Option<String>, LoginError> {
    let account = hook.call(&parts_for_hook(site, head, current));
    account.map_err(|error| {
        tracing::error!("the account_of hook failed: {error}");
        LoginError::new(AppFailed, "the app's account_of hook failed")
    })
}
