//! The endpoints that the app's server calls: tokens, openid, profile.

use super::{
    journal::Call,
    people::Person,
    refused::Refused,
    state::MockState,
    store::TokenPair,
    wire::{FieldList, FieldValue},
};

impl MockState {
    pub(super) fn answer_token(&mut self, call: &Call) -> Result<FieldList, Refused> {
        let is_refresh = match call.non_empty_param("grant_type") {
            Some("authorization_code") => false,
            Some("refresh_token") => true,
            _ => return Err(Refused::new(100004)),
        };
        self.check_client_id(call)?;
        match call.non_empty_param("client_secret") {
            None => return Err(Refused::new(100002)),
            Some(key) if key != self.app.key => return Err(Refused::new(100009)),
            Some(_) => {}
        }
        let TokenPair {
            openid,
            access_token,
            refresh_token,
            expires_in,
        } = if is_refresh {
            let token = call.non_empty_param("refresh_token");
            self.store.refresh(token.ok_or(Refused::new(100006))?)?
        } else {
            let code = call.non_empty_param("code").ok_or(Refused::new(100005))?;
            let redirect_uri = call.param("redirect_uri").unwrap_or_default();
            self.store.redeem_code(code, redirect_uri)?
        };
        let expires_in = i64::try_from(expires_in).unwrap_or(i64::MAX);
        let wants_openid = !is_refresh && call.param("need_openid") == Some("1");
        let mut fields = vec![("access_token", FieldValue::text(access_token))];
        if wants_openid && !self.settings.ignores_need_openid {
            fields.push(("expires_in", FieldValue::Number(expires_in)));
            fields.push(("openid", FieldValue::text(openid)));
        } else {
            fields.push(("expires_in", FieldValue::Digits(expires_in)));
        }
        fields.push(("refresh_token", FieldValue::text(refresh_token)));
        Ok(fields)
    }

    pub(super) fn answer_me(&self, call: &Call) -> Result<FieldList, Refused> {
        let token = call.non_empty_param("access_token");
        let grant = self.store.find_grant(token.ok_or(Refused::new(100007))?)?;
        let person = self.find_person(&grant.openid);
        let person = person.ok_or(Refused::new(100016))?;
        let openid = person.openid_at(&grant.app_id, &self.app.id);
        let mut fields = vec![
            ("client_id", FieldValue::text(&grant.app_id)),
            ("openid", FieldValue::text(openid)),
        ];
        if call.param("unionid") == Some("1") {
            if self.settings.grants_union_id {
                fields.push(("unionid", FieldValue::text(&person.unionid)));
            } else if !self.settings.omits_union_id {
                return Err(Refused::new(100048));
            }
        }
        Ok(fields)
    }

    pub(super) fn answer_user_info(&self, call: &Call) -> Result<FieldList, Refused> {
        let person = self.check_api(call)?;
        Ok(person.profile())
    }

    /// Checks the three parameters of every API and the scope. Returns the user of the token.
    pub(super) fn check_api(&self, call: &Call) -> Result<&Person, Refused> {
        let token = call.non_empty_param("access_token");
        let token = token.ok_or(Refused::new(1002))?;
        // Before the token, as QQ: a client that swaps the two is told that the openid is wrong.
        let openid = call.param("openid").unwrap_or_default();
        let app_id = call.param("oauth_consumer_key").unwrap_or_default();
        let has_openid = |person: &Person, app_id| person.openid_at(app_id, &self.app.id) == openid;
        // A wrong app id beside the openid at the mock's own app is refused below, as 100008.
        let mut people = self.people.iter();
        let person =
            people.find(|person| has_openid(person, app_id) || has_openid(person, &self.app.id));
        let person = person.ok_or_else(|| {
            let is_well_formed = openid.len() == 32 && is_hex(openid);
            Refused::new(if is_well_formed { -22 } else { -1 })
        })?;
        let grant = self.store.find_grant(token);
        let grant = grant.map_err(|_| Refused::new(-23))?;
        if app_id != grant.app_id {
            return Err(Refused::new(100008));
        }
        if grant.openid != person.openid || !has_openid(person, &grant.app_id) {
            return Err(Refused::new(-22));
        }
        let api = call.path.rsplit('/').next();
        if !grant.scope.iter().any(|name| Some(name.as_str()) == api) {
            return Err(Refused::new(100030));
        }
        Ok(person)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
