//! What the server asks for: tokens, who it is, the profile.

use super::{
    Call, Person, Refused,
    state::State,
    store::Issued,
    wire::{Fields, Value},
};

impl State {
    pub(super) fn token(&mut self, call: &Call) -> Result<Fields, Refused> {
        let grant_type = call.filled("grant_type");
        let refreshing = match grant_type {
            Some("authorization_code") => false,
            Some("refresh_token") => true,
            _ => return Err(Refused::new(100004)),
        };
        self.check_client_id(call)?;
        match call.filled("client_secret") {
            None => return Err(Refused::new(100002)),
            Some(key) if key != self.app.key => return Err(Refused::new(100009)),
            Some(_) => {}
        }
        let issued = if refreshing {
            let token = call.filled("refresh_token").ok_or(Refused::new(100006))?;
            self.store.refresh(token)?
        } else {
            let code = call.filled("code").ok_or(Refused::new(100005))?;
            let redirect_uri = call.param("redirect_uri").unwrap_or_default();
            self.store.redeem_code(code, redirect_uri)?
        };
        let Issued {
            openid,
            access_token,
            refresh_token,
            expires_in,
        } = issued;
        let expires_in = i64::try_from(expires_in).unwrap_or(i64::MAX);
        let mut fields = vec![
            ("access_token", Value::text(access_token)),
            ("expires_in", Value::Digits(expires_in)),
            ("refresh_token", Value::text(refresh_token)),
        ];
        let wanted = !refreshing && call.param("need_openid") == Some("1");
        if wanted && !self.settings.need_openid_ignored {
            fields.push(("openid", Value::text(openid)));
        }
        Ok(fields)
    }

    pub(super) fn me(&self, call: &Call) -> Result<Fields, Refused> {
        let token = call.filled("access_token").ok_or(Refused::new(100007))?;
        let openid = &self.store.grant(token)?.openid;
        let mut fields = vec![
            ("client_id", Value::text(&self.app.id)),
            ("openid", Value::text(openid)),
        ];
        if call.param("unionid") == Some("1") {
            if self.settings.union_id_granted {
                let person = self.person(openid).ok_or(Refused::new(100016))?;
                fields.push(("unionid", Value::text(&person.unionid)));
            } else if !self.settings.union_id_omitted {
                return Err(Refused::new(100048));
            }
        }
        Ok(fields)
    }

    pub(super) fn user_info(&self, call: &Call) -> Result<Fields, Refused> {
        let person = self.check_api(call)?;
        Ok(person.profile(&self.app.id))
    }

    /// The three parameters of every API, and the scope. Gives the person asked for.
    pub(super) fn check_api(&self, call: &Call) -> Result<&Person, Refused> {
        let token = call.filled("access_token").ok_or(Refused::new(1002))?;
        let grant = self.store.grant(token).map_err(|_| Refused::new(-23))?;
        if call.param("oauth_consumer_key") != Some(&self.app.id) {
            return Err(Refused::new(100008));
        }
        if call.param("openid") != Some(&grant.openid) {
            return Err(Refused::new(-22));
        }
        let api = call.path.rsplit('/').next();
        if !grant.scope.iter().any(|name| Some(name.as_str()) == api) {
            return Err(Refused::new(100030));
        }
        self.person(&grant.openid).ok_or(Refused::new(-22))
    }

    pub(super) fn check_client_id(&self, call: &Call) -> Result<(), Refused> {
        match call.filled("client_id") {
            None => Err(Refused::new(100001)),
            Some(id) if id != self.app.id => Err(Refused::new(100008)),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn person(&self, openid: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.openid == openid)
    }
}
