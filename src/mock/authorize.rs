//! What the browser asks for: who signs in.

use http::{HeaderValue, Response, StatusCode, Uri, header};

use super::{Call, Endpoint, MockBody, Refused, page, state::State, store::Grant, wire::encode};

/// What the person in front of the page does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice<'a> {
    First,
    Person(&'a str),
    Cancel,
}

impl State {
    /// The page, or what follows from the choice made on it.
    pub(super) fn authorize(&mut self, call: &Call) -> Response<MockBody> {
        let answer = match (call.param("as"), call.param("cancel")) {
            (None, None) => self
                .check_authorize(call)
                .map(|()| page::choose(&self.people, call)),
            (_, Some(_)) => self.choose(call, Choice::Cancel).and_then(redirect),
            (Some(openid), None) => self.choose(call, Choice::Person(openid)).and_then(redirect),
        };
        answer.unwrap_or_else(page::refused)
    }

    /// Opens the URL and makes the choice in one go.
    pub(super) fn visit(&mut self, url: &str, choice: Choice<'_>) -> Result<String, Refused> {
        let uri: Uri = url.parse().map_err(|_| Refused::new(100029))?;
        if Endpoint::of(uri.path()) != Some(Endpoint::Authorize) {
            return Err(Refused::new(100029));
        }
        let query = uri.query().unwrap_or_default();
        let call = Call::visit(Endpoint::Authorize, uri.path(), query);
        self.journal.push(call.clone());
        self.choose(&call, choice)
    }

    /// The URL of the callback.
    fn choose(&mut self, call: &Call, choice: Choice<'_>) -> Result<String, Refused> {
        self.check_authorize(call)?;
        let redirect_uri = call.param("redirect_uri").unwrap_or_default();
        let state = encode(call.param("state").unwrap_or_default());
        let joint = match redirect_uri.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        let person = match choice {
            Choice::Cancel => {
                return Ok(format!("{redirect_uri}{joint}usercancel=1&state={state}"));
            }
            Choice::First => self.people.first(),
            Choice::Person(openid) => self.person(openid),
        };
        let scope = call.filled("scope").unwrap_or("get_user_info");
        let grant = Grant {
            openid: person.ok_or(Refused::new(100035))?.openid.clone(),
            scope: scope.split(',').map(str::to_owned).collect(),
        };
        let code = self.store.issue_code(grant, redirect_uri);
        Ok(format!("{redirect_uri}{joint}code={code}&state={state}"))
    }

    fn check_authorize(&self, call: &Call) -> Result<(), Refused> {
        if call.param("response_type") != Some("code") {
            return Err(Refused::new(100000));
        }
        self.check_client_id(call)?;
        let redirect_uri = call.param("redirect_uri").unwrap_or_default();
        if !same_place(redirect_uri, &self.app.redirect_uri) {
            return Err(Refused::new(100010));
        }
        // Stricter than the web page of QQ, but its Android app drops a state with anything else in it.
        let plain = |state: &&str| {
            let mut bytes = state.bytes();
            bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        match call.filled("state").filter(plain) {
            Some(_) => Ok(()),
            None => Err(Refused::new(100029)),
        }
    }
}

/// Whether two URLs have scheme, host, port and path in common.
fn same_place(asked: &str, registered: &str) -> bool {
    let place = |url: &str| {
        let uri: Uri = url.parse().ok()?;
        let scheme = uri.scheme_str()?.to_owned();
        let authority = uri.authority()?;
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default_port);
        let host = authority.host().to_ascii_lowercase();
        let plain = !url.contains('#') && !authority.as_str().contains('@');
        plain.then(|| (scheme, host, port, uri.path().to_owned()))
    };
    place(asked).is_some_and(|asked| Some(asked) == place(registered))
}

fn redirect(url: String) -> Result<Response<MockBody>, Refused> {
    let location = HeaderValue::try_from(url).map_err(|_| Refused::new(100010))?;
    let mut response = Response::new(MockBody::default());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
