//! The authorize endpoint: the page in the browser and the redirect to the callback.

use http::{HeaderValue, Method, Response, StatusCode, Uri, header, request};

use super::{
    body::MockBody,
    journal::{Call, Endpoint},
    page::{render_choices, render_refusal},
    refused::Refused,
    state::MockState,
    store::Grant,
    wire::encode,
};

/// The user's choice on the authorize page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice<'a> {
    First,
    OpenId(&'a str),
    Cancel,
}

impl MockState {
    /// Shows the page, or redirects to the callback if the URL contains a choice.
    pub(super) fn authorize(&mut self, call: &Call) -> Response<MockBody> {
        let result = match (call.param("as"), call.param("cancel")) {
            (None, None) => self
                .check_authorize(call)
                .map(|()| render_choices(&self.people, call)),
            (_, Some(_)) => self.choose(call, Choice::Cancel).and_then(redirect),
            (Some(openid), None) => self.choose(call, Choice::OpenId(openid)).and_then(redirect),
        };
        result.unwrap_or_else(|refused| redirect_to_error_page(call, refused))
    }

    /// Shows the target of [`redirect_to_error_page`], which the journal does not record.
    pub(super) fn show_error_page(&self, parts: &request::Parts) -> Option<Response<MockBody>> {
        let call = Call::new(Endpoint::Authorize, parts);
        let is_page = call.method == Method::GET && call.path.ends_with("/oauth2.0/show");
        if !is_page || call.param("which") != Some("error") {
            return None;
        }
        let code = call.param("error").and_then(|code| code.parse().ok());
        let refused = Refused::new(code.unwrap_or_default());
        Some(render_refusal(refused, &call, &self.app))
    }

    /// Opens the URL and makes the choice in one call.
    pub(super) fn follow(&mut self, url: &str, choice: Choice<'_>) -> Result<String, Refused> {
        let uri: Uri = url.parse().map_err(|_| Refused::new(100029))?;
        if Endpoint::from_path(uri.path()) != Some(Endpoint::Authorize) {
            return Err(Refused::new(100029));
        }
        let query = uri.query().unwrap_or_default();
        let call = Call::get(Endpoint::Authorize, uri.path(), query);
        self.journal.record(call.clone());
        self.choose(&call, choice)
    }

    /// Makes the choice and returns the callback URL.
    fn choose(&mut self, call: &Call, choice: Choice<'_>) -> Result<String, Refused> {
        self.check_authorize(call)?;
        let redirect_uri = call.param("redirect_uri").unwrap_or_default();
        let state = encode(call.param("state").unwrap_or_default());
        let separator = match redirect_uri.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        let person = match choice {
            Choice::Cancel => {
                return Ok(format!(
                    "{redirect_uri}{separator}usercancel=1&state={state}"
                ));
            }
            Choice::First => self.people.first(),
            Choice::OpenId(openid) => self.find_person(openid),
        };
        let scope = call.non_empty_param("scope").unwrap_or("get_user_info");
        let grant = Grant {
            app_id: self.app.id.clone(),
            openid: person.ok_or(Refused::new(100035))?.openid.clone(),
            scope: scope.split(',').map(str::to_owned).collect(),
        };
        let code = self.store.issue_code(grant, redirect_uri);
        Ok(format!(
            "{redirect_uri}{separator}code={code}&state={state}"
        ))
    }

    fn check_authorize(&self, call: &Call) -> Result<(), Refused> {
        if call.param("response_type") != Some("code") {
            return Err(Refused::new(100000));
        }
        self.check_client_id(call)?;
        let redirect_uri = call.param("redirect_uri").unwrap_or_default();
        let mut registered = self.app.redirect_uri.split(';');
        if !registered.any(|registered| has_same_target(redirect_uri, registered)) {
            return Err(Refused::new(100010));
        }
        // QQ's web page accepts more, but its Android app drops a state with other characters.
        let is_portable = |state: &&str| {
            let mut bytes = state.bytes();
            bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        match call.non_empty_param("state").filter(is_portable) {
            Some(_) => Ok(()),
            None => Err(Refused::new(100029)),
        }
    }
}

/// Returns true if two URLs have the same scheme, host, port and path, and QQ accepts the path.
fn has_same_target(requested: &str, registered: &str) -> bool {
    let parse = |url: &str| {
        let uri: Uri = url.parse().ok()?;
        let scheme = uri.scheme_str()?.to_owned();
        let authority = uri.authority()?;
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default_port);
        let host = authority.host().to_ascii_lowercase();
        let is_plain = !url.contains('#') && !authority.as_str().contains('@');
        // QQ refuses a slash at the end even if it is registered.
        let is_acceptable = is_plain && !uri.path().ends_with('/');
        is_acceptable.then(|| (scheme, host, port, uri.path().to_owned()))
    };
    parse(requested).is_some_and(|target| Some(target) == parse(registered))
}

/// Redirects to QQ's page that shows the error: QQ does not send an invalid request to the app.
pub(super) fn redirect_to_error_page(call: &Call, refused: Refused) -> Response<MockBody> {
    // Relative, for a mock below a prefix.
    let url = format!(
        "../oauth2.0/show?which=error&display={}&error={}&client_id={}",
        if call.is_mobile() { "mobile" } else { "pc" },
        refused.code(),
        encode(call.param("client_id").unwrap_or_default()),
    );
    build_redirect(HeaderValue::try_from(url).expect("percent-encoded"))
}

fn redirect(url: String) -> Result<Response<MockBody>, Refused> {
    let location = HeaderValue::try_from(url).map_err(|_| Refused::new(100010))?;
    Ok(build_redirect(location))
}

fn build_redirect(location: HeaderValue) -> Response<MockBody> {
    let mut response = Response::new(MockBody::default());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
