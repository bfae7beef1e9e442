//! The setters of the mock. Each takes effect with the next request.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use super::{
    journal::Endpoint,
    people::Person,
    qq::MockQq,
    wire::{Numbers, Shape},
};

impl MockQq {
    /// Sets the shape of an endpoint's replies and errors. By default [`Shape::AsAsked`].
    pub fn shape(&self, endpoint: Endpoint, shape: Shape) -> &Self {
        self.lock().settings.shapes.insert(endpoint, shape);
        self
    }

    /// Sets the format of numbers. By default [`Numbers::AsQq`].
    pub fn numbers(&self, numbers: Numbers) -> &Self {
        self.lock().settings.style.numbers = numbers;
        self
    }

    /// Sets whether slashes in JSON are written as `\/`. By default `false`, as QQ has done since
    /// 2024.
    pub fn escape_slashes(&self, escape: bool) -> &Self {
        self.lock().settings.style.escape_slashes = escape;
        self
    }

    /// Sets the `Content-Type` of the token, `/me`, profile and other API replies. By default
    /// `text/html`.
    pub fn content_type(&self, content_type: HeaderValue) -> &Self {
        self.lock().settings.content_type = content_type;
        self
    }

    /// Sets whether the mock ignores `need_openid=1`, so that clients have to call `/me`. By
    /// default `false`.
    pub fn ignore_need_openid(&self, ignore: bool) -> &Self {
        self.lock().settings.ignores_need_openid = ignore;
        self
    }

    /// Sets whether the app has access to UnionIDs. By default `false`, as for a new app:
    /// `unionid=1` returns error 100048.
    pub fn grant_union_id(&self, grant: bool) -> &Self {
        self.lock().settings.grants_union_id = grant;
        self
    }

    /// Sets whether the mock omits a UnionID that is not granted instead of returning error 100048.
    /// By default `false`.
    pub fn omit_union_id(&self, omit: bool) -> &Self {
        self.lock().settings.omits_union_id = omit;
        self
    }

    /// Sets the lifetime of new access tokens, which `expires_in` states in seconds. By default 60
    /// days.
    pub fn token_lifetime(&self, lifetime: Duration) -> &Self {
        self.lock().store.token_lifetime = lifetime;
        self
    }

    /// Adds a user at the end of the authorize page.
    pub fn add_person(&self, person: Person) -> &Self {
        self.lock().add_people([person]);
        self
    }

    /// Replaces all users, including those whose logins fail.
    ///
    /// Tokens belong to an openid. If the new users include that openid with another nickname, the
    /// old token shows the new nickname.
    pub fn set_people(&self, people: impl IntoIterator<Item = Person>) -> &Self {
        let mut state = self.lock();
        state.people.clear();
        state.add_people(people);
        drop(state);
        self
    }

    /// Adds an API that answers a GET of `path`, below any prefix, with `body`.
    ///
    /// The request needs a valid access token with its app id and openid, and the name of the API,
    /// the last segment of its path, must be in the scope of the login. If several paths match, the
    /// API added last answers.
    ///
    /// ```
    /// # use tower_qq_auth::mock::MockQq;
    /// # let qq = MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
    /// qq.api("/user/get_vip_info", r#"{"ret":0,"msg":"","vip":"1"}"#);
    /// ```
    pub fn api(&self, path: impl Into<String>, body: impl Into<Bytes>) -> &Self {
        self.lock().settings.apis.push((path.into(), body.into()));
        self
    }
}
