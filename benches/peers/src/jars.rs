//! Encrypted or signed cookies with JSON, which handlers read themselves.

use axum::{Router, extract::FromRef, http::HeaderMap, routing::get};
use axum_extra::extract::{
    PrivateCookieJar, SignedCookieJar,
    cookie::{Cookie, Key},
};
use tower::layer::util::Identity;

use crate::{
    MINE, PUBLIC, Subject,
    user::{User, user},
};

#[derive(Clone)]
struct Keys(Key);

impl FromRef<Keys> for Key {
    fn from_ref(keys: &Keys) -> Self {
        keys.0.clone()
    }
}

/// Returns the cookie that a response sets.
fn pair(headers: &HeaderMap) -> String {
    let cookie = headers["set-cookie"].to_str().expect("ASCII");
    cookie.split(';').next().expect("a pair").to_owned()
}

fn cookie() -> Cookie<'static> {
    Cookie::new("user", serde_json::to_string(&user()).expect("JSON"))
}

fn nickname(cookie: Option<Cookie<'_>>) -> String {
    let user: User = serde_json::from_str(cookie.expect("a cookie").value()).expect("JSON");
    user.nickname
}

pub fn private() -> Subject {
    use axum::response::IntoResponse;
    let key = Key::generate();
    let jar = PrivateCookieJar::<Key>::new(key.clone()).add(cookie());
    let cookie = pair(jar.into_response().headers());
    let app = Router::new()
        .route(
            PUBLIC,
            get(async |jar: PrivateCookieJar| {
                jar.get("user").map_or("signed out", |_| "signed in")
            }),
        )
        .route(
            MINE,
            get(async |jar: PrivateCookieJar| nickname(jar.get("user"))),
        )
        .with_state(Keys(key))
        .layer(Identity::new());
    Subject::new("axum-extra, PrivateCookieJar with JSON", app, cookie)
}

pub fn signed() -> Subject {
    use axum::response::IntoResponse;
    let key = Key::generate();
    let jar = SignedCookieJar::<Key>::new(key.clone()).add(cookie());
    let cookie = pair(jar.into_response().headers());
    let app = Router::new()
        .route(
            PUBLIC,
            get(async |jar: SignedCookieJar| jar.get("user").map_or("signed out", |_| "signed in")),
        )
        .route(
            MINE,
            get(async |jar: SignedCookieJar| nickname(jar.get("user"))),
        )
        .with_state(Keys(key))
        .layer(Identity::new());
    Subject::new("axum-extra, SignedCookieJar with JSON", app, cookie)
}
