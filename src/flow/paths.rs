//! The paths that the layer answers.

use super::{
    query::encoded,
    return_to::{ReturnTo, stays_here},
};
use crate::ConfigError;

#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) login: String,
    pub(crate) callback: String,
    pub(crate) logout: String,
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
        } else if path == self.logout {
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
                && !path.contains(['?', '#', '"', '<', '>', '\\', '`', '{', '}'])
        };
        if ![&self.login, &self.logout].into_iter().all(usable) {
            let problem = "must be a plain path such as /auth/qq/login";
            return Err(ConfigError::new(setting, problem));
        }
        if self.login == self.logout || self.login == self.callback || self.logout == self.callback
        {
            let problem = "is the same as another path: login, logout and callback need one each";
            return Err(ConfigError::new(setting, problem));
        }
        Ok(())
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
