//! The paths that the layer answers.

use super::{
    pending::Purpose,
    query::encoded,
    return_to::{ReturnTo, stays_here},
};
use crate::{ConfigError, qq::redirect_uri::REWRITTEN};

#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) login: String,
    pub(crate) callback: String,
    /// None where sessions are the app's.
    pub(crate) logout: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnPath {
    Login,
    Callback,
    Logout,
}

impl Paths {
    /// Which path of ours this is, byte for byte.
    pub(super) fn find(&self, path: &str) -> Option<OwnPath> {
        if path == self.login {
            Some(OwnPath::Login)
        } else if path == self.callback {
            Some(OwnPath::Callback)
        } else if Some(path) == self.logout.as_deref() {
            Some(OwnPath::Logout)
        } else {
            None
        }
    }

    /// Fails unless each is a path that a request can have, and no two are the same.
    pub(crate) fn check(&self, setting: &'static str) -> Result<(), ConfigError> {
        let usable = |path: &String| {
            path.len() > 1
                && stays_here(path)
                && path.bytes().all(|byte| byte.is_ascii_graphic())
                && !path.contains(['?', '#'])
                && !path.contains(REWRITTEN)
        };
        let logout = self.logout.as_ref();
        if !usable(&self.login) || !logout.is_none_or(usable) {
            let problem = "must be a plain path such as /auth/qq/login";
            return Err(ConfigError::new(setting, problem));
        }
        let others = [Some(&self.login), logout];
        if others[0] == others[1] || others.contains(&Some(&self.callback)) {
            let problem = "is the same as another path: login, logout and callback need one each";
            return Err(ConfigError::new(setting, problem));
        }
        Ok(())
    }

    /// Where to try again what a login was for: with an intent, from the page where it began.
    pub(super) fn again(&self, purpose: &Purpose) -> String {
        match purpose.intent {
            Some(_) => purpose.return_to.to_string(),
            None => self.login_to(&purpose.return_to),
        }
    }

    /// The address that starts a login which ends at `return_to`.
    pub(super) fn login_to(&self, return_to: &ReturnTo) -> String {
        if *return_to == ReturnTo::home() {
            return self.login.clone();
        }
        format!("{}?return_to={}", self.login, encoded(return_to.as_str()))
    }

    /// The same for a `return_to` that an app names.
    pub(crate) fn login_for(&self, return_to: &str) -> String {
        self.login_to(&ReturnTo::new(return_to, self).unwrap_or_else(ReturnTo::home))
    }
}
