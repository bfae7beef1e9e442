//! Codes and tokens, and the clock they live by.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use super::refused::Refused;

const CODE_LIFETIME: Duration = Duration::from_secs(600);
const REFRESH_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// Everything the mock has handed out.
pub(super) struct Store {
    started: Instant,
    advanced: Duration,
    pub(super) token_lifetime: Duration,
    codes: HashMap<String, Code>,
    access: HashMap<String, Token>,
    refresh: HashMap<String, Token>,
}

/// What one person allowed the app.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) openid: String,
    pub(super) scope: Vec<String>,
}

struct Code {
    grant: Grant,
    redirect_uri: String,
    expires: Duration,
    used: bool,
}

struct Token {
    grant: Grant,
    expires: Duration,
    revoked: bool,
}

/// A fresh pair of tokens.
pub(super) struct Issued {
    pub(super) openid: String,
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    pub(super) expires_in: u64,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            advanced: Duration::ZERO,
            token_lifetime: Duration::from_secs(5_184_000),
            codes: HashMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
        }
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }

    /// A code for this grant, good for 10 minutes and one use.
    pub(super) fn issue_code(&mut self, grant: Grant, redirect_uri: &str) -> String {
        let code = random_id();
        let entry = Code {
            grant,
            redirect_uri: redirect_uri.to_owned(),
            expires: self.after(CODE_LIFETIME),
            used: false,
        };
        self.codes.insert(code.clone(), entry);
        code
    }

    pub(super) fn redeem_code(
        &mut self,
        code: &str,
        redirect_uri: &str,
    ) -> Result<Issued, Refused> {
        let now = self.now();
        let code = self.codes.get_mut(code).ok_or(Refused::new(100019))?;
        if code.used {
            return Err(Refused::new(100020));
        }
        if code.expires <= now {
            return Err(Refused::new(100067));
        }
        if code.redirect_uri != redirect_uri {
            return Err(Refused::new(100010));
        }
        code.used = true;
        let grant = code.grant.clone();
        let refresh_until = self.after(REFRESH_LIFETIME);
        Ok(self.issue_tokens(grant, refresh_until))
    }

    /// A new pair for a refresh token, which is dead from then on. The new one ends when the old one would have ended.
    pub(super) fn refresh(&mut self, token: &str) -> Result<Issued, Refused> {
        let Token { expires, grant, .. } =
            self.live(&self.refresh, token, [100036, 100037, 100038])?;
        let (expires, grant) = (*expires, grant.clone());
        self.refresh.remove(token);
        Ok(self.issue_tokens(grant, expires))
    }

    /// The grant behind an access token.
    pub(super) fn grant(&self, access_token: &str) -> Result<&Grant, Refused> {
        let token = self.live(&self.access, access_token, [100013, 100014, 100015])?;
        Ok(&token.grant)
    }

    pub(super) fn revoke(&mut self, openid: &str) {
        let tokens = self.access.values_mut().chain(self.refresh.values_mut());
        for token in tokens.filter(|token| token.grant.openid == openid) {
            token.revoked = true;
        }
    }

    fn issue_tokens(&mut self, grant: Grant, refresh_until: Duration) -> Issued {
        let issued = Issued {
            openid: grant.openid.clone(),
            access_token: random_id(),
            refresh_token: random_id(),
            expires_in: self.token_lifetime.as_secs(),
        };
        let token = |expires| Token {
            grant: grant.clone(),
            expires,
            revoked: false,
        };
        let access = token(self.after(self.token_lifetime));
        self.access.insert(issued.access_token.clone(), access);
        let refresh = token(refresh_until);
        self.refresh.insert(issued.refresh_token.clone(), refresh);
        issued
    }

    /// A token that may be used, or the code for unknown, expired, revoked.
    fn live<'a>(
        &self,
        tokens: &'a HashMap<String, Token>,
        token: &str,
        [unknown, expired, revoked]: [i32; 3],
    ) -> Result<&'a Token, Refused> {
        match tokens.get(token) {
            None => Err(Refused::new(unknown)),
            Some(token) if token.revoked => Err(Refused::new(revoked)),
            Some(token) if token.expires <= self.now() => Err(Refused::new(expired)),
            Some(token) => Ok(token),
        }
    }

    /// The time since the mock was made, on its own clock.
    fn now(&self) -> Duration {
        self.started.elapsed().saturating_add(self.advanced)
    }

    fn after(&self, lifetime: Duration) -> Duration {
        self.now().saturating_add(lifetime)
    }
}

/// 32 upper-case hex digits. Nobody is to guess them, but nothing real is behind them: the randomness of std will do.
fn random_id() -> String {
    let half = || RandomState::new().hash_one(Instant::now());
    format!("{:016X}{:016X}", half(), half())
}
