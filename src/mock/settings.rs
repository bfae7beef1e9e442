//! How the mock behaves. Everything may be changed at any time and holds from the next request on.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use http::HeaderValue;

use super::{Endpoint, MockQq, Numbers, Person, Shape, wire::Style};

/// What the setters set, apart from people and the lifetime of tokens.
pub(super) struct Settings {
    pub(super) shapes: HashMap<Endpoint, Shape>,
    pub(super) style: Style,
    pub(super) content_type: HeaderValue,
    pub(super) need_openid_ignored: bool,
    pub(super) union_id_granted: bool,
    pub(super) union_id_omitted: bool,
    /// Path and answer of the other APIs.
    pub(super) apis: Vec<(String, Bytes)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shapes: HashMap::new(),
            style: Style::default(),
            content_type: HeaderValue::from_static("text/html"),
            need_openid_ignored: false,
            union_id_granted: false,
            union_id_omitted: false,
            apis: Vec::new(),
        }
    }
}

impl MockQq {
    /// How an endpoint writes its answers and errors. Default: [`Shape::AsAsked`].
    pub fn shape(&self, endpoint: Endpoint, shape: Shape) -> &Self {
        self.lock().settings.shapes.insert(endpoint, shape);
        self
    }

    /// How numbers are written. Default: [`Numbers::AsQq`].
    pub fn numbers(&self, numbers: Numbers) -> &Self {
        self.lock().settings.style.numbers = numbers;
        self
    }

    /// Whether slashes in JSON are written `\/`. Default: some are, some are not, as on the real QQ.
    pub fn escape_slashes(&self, escape: bool) -> &Self {
        self.lock().settings.style.escape_slashes = Some(escape);
        self
    }

    /// The `Content-Type` of token, `/me`, profile and other APIs. Default: `text/html`.
    pub fn content_type(&self, content_type: HeaderValue) -> &Self {
        self.lock().settings.content_type = content_type;
        self
    }

    /// Whether `need_openid=1` is ignored, so that `/me` has to be asked. Default: no.
    pub fn ignore_need_openid(&self, ignore: bool) -> &Self {
        self.lock().settings.need_openid_ignored = ignore;
        self
    }

    /// Whether the app may see UnionIDs. Default: no, as for any new app: `unionid=1` is answered with error 100048.
    pub fn grant_union_id(&self, grant: bool) -> &Self {
        self.lock().settings.union_id_granted = grant;
        self
    }

    /// Whether a UnionID that is not granted is silently left out, instead of error 100048. Default: no.
    pub fn omit_union_id(&self, omit: bool) -> &Self {
        self.lock().settings.union_id_omitted = omit;
        self
    }

    /// How long access tokens live, as `expires_in` tells it in seconds. Default: 60 days. Holds for new tokens.
    pub fn token_lifetime(&self, lifetime: Duration) -> &Self {
        self.lock().store.token_lifetime = lifetime;
        self
    }

    /// One more person who can sign in, at the end of the page.
    pub fn add_person(&self, person: Person) -> &Self {
        self.lock().people.push(person);
        self
    }

    /// Other people instead of those there are. Tokens hold on to the openid: a person who comes back changed shows the
    /// new nickname to the old token.
    pub fn set_people(&self, people: impl IntoIterator<Item = Person>) -> &Self {
        self.lock().people = people.into_iter().collect();
        self
    }

    /// One more API: a GET of this path gives this body, if access token, app id and openid fit and the API's name, the
    /// last segment of the path, was in the scope at authorize.
    ///
    /// ```
    /// # let qq = tower_qq_auth::mock::MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
    /// qq.api("/user/get_vip_info", r#"{"ret":0,"msg":"","vip":"1"}"#);
    /// ```
    pub fn api(&self, path: impl Into<String>, body: impl Into<Bytes>) -> &Self {
        self.lock().settings.apis.push((path.into(), body.into()));
        self
    }
}
