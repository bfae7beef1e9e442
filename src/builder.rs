//! What an app can ask of its layer, by a clone of it.

use crate::{
    ConfigError, OpenId, QqAuthLayer, QqTokens, QqUser, RevocationError, session::TooLarge,
};

impl QqAuthLayer {
    /// The path of the redirect URI: where an app that answers callbacks itself has its handler.
    pub fn callback_path(&self) -> &str {
        &self.flow.paths.callback
    }

    /// The address of a login that ends at `return_to`, a path of this site; at `/` if it is none.
    pub fn login_url(&self, return_to: &str) -> String {
        self.flow.paths.login_for(return_to)
    }

    /// A session of this user, as a `name=value` for a `Cookie` header: for an app's tests of its own handlers.
    ///
    /// It is sealed as any other, so whoever gets hold of it is signed in.
    ///
    /// # Errors
    ///
    /// If it is larger than browsers keep, which is 4096 bytes, or if [`keep_tokens`](Self::keep_tokens) is on and there
    /// are none.
    ///
    /// ```
    /// # use tower_qq_auth::{OpenId, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};
    /// # let callback = "http://localhost:3000/auth/qq/callback";
    /// # let app = QqApp::new("101905280", "app-key", callback).unwrap();
    /// # let client = QqClient::with_service(app, MockQq::new("101905280", "app-key", callback));
    /// # let qq = QqAuthLayer::with_client(client, SessionKeys::generate());
    /// let user = QqUser::new(OpenId::new("CC7F5CEFEFC0EBAB9B07EB481AEBC29C").unwrap());
    /// let request = http::Request::get("/me").header("cookie", qq.session_cookie(&user, None).unwrap());
    /// # drop(request);
    /// ```
    pub fn session_cookie(
        &self,
        user: &QqUser,
        tokens: Option<&QqTokens>,
    ) -> Result<String, ConfigError> {
        let sessions = &self.flow.sessions;
        if sessions.keeps_tokens && tokens.is_none() {
            let problem = "needs tokens, such as QqTokens::new(..): the layer has keep_tokens on";
            return Err(ConfigError::new("session cookie", problem));
        }
        let cookie = sessions.start(user.clone(), tokens, self.flow.now());
        let cookie = cookie.map_err(|TooLarge(size)| {
            let problem = format!("{size} bytes are more than browsers keep");
            ConfigError::new("session cookie", problem)
        })?;
        // A cookie of ours is ASCII.
        let pair = cookie.to_str().unwrap_or_default().split(';').next();
        Ok(pair.unwrap_or_default().to_owned())
    }

    /// Signs somebody out everywhere: all sessions of this person that began up to now are no longer good.
    ///
    /// Other machines see it as soon as they ask the list again: after at most 3 seconds, with the cache in front of
    /// Redis. The clocks of the machines should agree: what began later by the clock of its machine is still good.
    ///
    /// # Errors
    ///
    /// If there is no [list](Self::revocations), or it fails. The person may still be signed in then.
    pub async fn revoke_user(&self, user: &OpenId) -> Result<(), RevocationError> {
        let flow = &self.flow;
        flow.revocations
            .revoke(flow.sessions.revocations(user, flow.now()))
            .await
    }
}
