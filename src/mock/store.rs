//! Codes, tokens and the clock that expires them.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use super::{recent::RecentMap, refused::Refused};

const CODE_LIFETIME: Duration = Duration::from_secs(600);
const REFRESH_LIFETIME: Duration = Duration::from_secs(90 * 86_400);
const SDK_TOKEN_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// The codes and tokens issued last.
///
/// Times are durations since `start`.
pub(super) struct TokenStore {
    start: Instant,
    /// The total that [`advance`](Self::advance) has added to the clock.
    offset: Duration,
    pub(super) token_lifetime: Duration,
    codes: RecentMap<IssuedCode>,
    access_tokens: RecentMap<IssuedToken>,
    refresh_tokens: RecentMap<IssuedToken>,
}

/// A user's permission for an app.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) app_id: String,
    /// The openid of the user at the mock's own app.
    pub(super) openid: String,
    pub(super) scope: Vec<String>,
}

struct IssuedCode {
    grant: Grant,
    redirect_uri: String,
    expires_at: Duration,
    is_used: bool,
}

struct IssuedToken {
    grant: Grant,
    expires_at: Duration,
    is_revoked: bool,
}

/// A new pair of tokens.
pub(super) struct TokenPair {
    pub(super) openid: String,
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    /// The lifetime of the access token in seconds.
    pub(super) expires_in: u64,
}

impl TokenStore {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            offset: Duration::ZERO,
            token_lifetime: Duration::from_secs(60 * 86_400),
            codes: RecentMap::new(),
            access_tokens: RecentMap::new(),
            refresh_tokens: RecentMap::new(),
        }
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.offset = self.offset.saturating_add(by);
    }

    /// Issues a code for a single use within 10 minutes.
    pub(super) fn issue_code(&mut self, grant: Grant, redirect_uri: &str) -> String {
        let id = generate_id();
        let code = IssuedCode {
            grant,
            redirect_uri: redirect_uri.to_owned(),
            expires_at: self.compute_expiry(CODE_LIFETIME),
            is_used: false,
        };
        self.codes.insert(id.clone(), code);
        id
    }

    pub(super) fn redeem_code(
        &mut self,
        code: &str,
        redirect_uri: &str,
    ) -> Result<TokenPair, Refused> {
        let now = self.now();
        let code = self.codes.get_mut(code).ok_or(Refused::new(100019))?;
        if code.is_used {
            return Err(Refused::new(100020));
        }
        if code.expires_at <= now {
            return Err(Refused::new(100067));
        }
        if code.redirect_uri != redirect_uri {
            return Err(Refused::new(100010));
        }
        code.is_used = true;
        let grant = code.grant.clone();
        let refresh_expires_at = self.compute_expiry(REFRESH_LIFETIME);
        Ok(self.issue_tokens(grant, refresh_expires_at))
    }

    /// Issues an access token to a phone app.
    pub(super) fn issue_sdk_token(&mut self, grant: Grant) -> String {
        let id = generate_id();
        let token = IssuedToken {
            grant,
            expires_at: self.compute_expiry(SDK_TOKEN_LIFETIME),
            is_revoked: false,
        };
        self.access_tokens.insert(id.clone(), token);
        id
    }

    /// Returns the openid of the user that a code signs in.
    pub(super) fn find_openid(&self, code: &str) -> Option<&str> {
        let code = self.codes.get(code)?;
        Some(&code.grant.openid)
    }

    /// Exchanges a refresh token for a new pair.
    ///
    /// The new refresh token expires when the old one would have, so a chain ends after 90 days.
    pub(super) fn refresh(&mut self, token: &str) -> Result<TokenPair, Refused> {
        let codes = [100036, 100037, 100038];
        let found = self.find_valid(&self.refresh_tokens, token, codes)?;
        let (grant, expires_at) = (found.grant.clone(), found.expires_at);
        self.refresh_tokens.remove(token);
        Ok(self.issue_tokens(grant, expires_at))
    }

    /// Returns the grant of an access token.
    pub(super) fn find_grant(&self, token: &str) -> Result<&Grant, Refused> {
        let codes = [100013, 100014, 100015];
        let found = self.find_valid(&self.access_tokens, token, codes)?;
        Ok(&found.grant)
    }

    pub(super) fn revoke(&mut self, openid: &str) {
        let access_tokens = self.access_tokens.values_mut();
        for token in access_tokens.chain(self.refresh_tokens.values_mut()) {
            token.is_revoked |= token.grant.openid == openid;
        }
    }

    fn issue_tokens(&mut self, grant: Grant, refresh_expires_at: Duration) -> TokenPair {
        let pair = TokenPair {
            openid: grant.openid.clone(),
            access_token: generate_id(),
            refresh_token: generate_id(),
            expires_in: self.token_lifetime.as_secs(),
        };
        let issue = |expires_at| IssuedToken {
            grant: grant.clone(),
            expires_at,
            is_revoked: false,
        };
        let access = issue(self.compute_expiry(self.token_lifetime));
        self.access_tokens.insert(pair.access_token.clone(), access);
        let refresh = issue(refresh_expires_at);
        self.refresh_tokens
            .insert(pair.refresh_token.clone(), refresh);
        pair
    }

    /// Returns a valid token, or refuses with the code for its state.
    fn find_valid<'a>(
        &self,
        tokens: &'a RecentMap<IssuedToken>,
        token: &str,
        [unknown, expired, revoked]: [i32; 3],
    ) -> Result<&'a IssuedToken, Refused> {
        match tokens.get(token) {
            None => Err(Refused::new(unknown)),
            Some(token) if token.is_revoked => Err(Refused::new(revoked)),
            Some(token) if token.expires_at <= self.now() => Err(Refused::new(expired)),
            Some(token) => Ok(token),
        }
    }

    /// Returns the current time of the mock's clock.
    fn now(&self) -> Duration {
        self.start.elapsed().saturating_add(self.offset)
    }

    fn compute_expiry(&self, lifetime: Duration) -> Duration {
        self.now().saturating_add(lifetime)
    }
}

/// Generates 32 upper-case hex digits.
///
/// The ids protect nothing real, so the randomness of `RandomState` is enough.
fn generate_id() -> String {
    let draw = || RandomState::new().hash_one(Instant::now());
    format!("{:016X}{:016X}", draw(), draw())
}
