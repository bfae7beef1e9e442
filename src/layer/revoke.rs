//! Revoking sessions.

use super::QqAuthLayer;
use crate::events::log_user_revoked;
use crate::identity::Identity;
use crate::revocation::list::RevocationError;
use crate::session::id::SessionId;

impl QqAuthLayer {
    /// Revokes all sessions of this user that started up to now.
    ///
    /// The user is an [`Identity`], or an [`OpenId`](crate::OpenId) at the layer's own app. An
    /// account of the app with several identities needs a call for each.
    ///
    /// Other machines notice when they ask the list again: after
    /// [`revocation_freshness`](crate::QqAuthLayerBuilder::revocation_freshness) at the latest, by
    /// default 3 seconds. A login that is under way is refused. The clocks of the machines may
    /// differ by 5 minutes.
    ///
    /// # Errors
    ///
    /// Returns an error if the layer has no [list](crate::QqAuthLayerBuilder::revocations), or if
    /// the list fails. In both cases the user may still be signed in.
    ///
    /// # Examples
    ///
    /// ```
    /// # use tower_qq_auth::{Identity, QqAuthLayer, revocation::RevocationError};
    /// async fn ban(qq: &QqAuthLayer, users: &[Identity]) -> Result<(), RevocationError> {
    ///     // First close the account in the app's table, or the user can simply sign in again.
    ///     for user in users {
    ///         qq.revoke_user(user).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn revoke_user(&self, user: impl Into<Identity>) -> Result<(), RevocationError> {
        let (site, user) = (&self.site, self.identity(user));
        let lifetime = site.sessions.settings().limits.lifetime;
        let revoked = site.revocations.revoke_user(&user, site.now(), lifetime);
        revoked.await?;
        log_user_revoked(&site.log_limit);
        Ok(())
    }

    /// Revokes one session of this user by its [id](crate::QqSession::id), for a list of devices.
    ///
    /// Other machines notice like after [`revoke_user`](Self::revoke_user). An id of another user
    /// has no effect.
    ///
    /// # Errors
    ///
    /// Returns an error if the layer has no [list](crate::QqAuthLayerBuilder::revocations), or if
    /// the list fails. In both cases the session may still count.
    pub async fn revoke_session(
        &self,
        user: impl Into<Identity>,
        id: SessionId,
    ) -> Result<(), RevocationError> {
        let (site, user) = (&self.site, self.identity(user));
        site.logins.end_session(&user, id);
        let lifetime = site.sessions.settings().limits.lifetime;
        let revoked = site
            .revocations
            .revoke_session(&user, id, None, site.now(), lifetime);
        revoked.await
    }

    fn identity(&self, user: impl Into<Identity>) -> Identity {
        user.into().or_app(&self.site.client.app().id)
    }
}
