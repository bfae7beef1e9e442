//! What was asked.

use http::{HeaderMap, Method, request};
use percent_encoding::percent_decode_str;

/// One of QQ's doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/oauth2.0/authorize`, the page in the browser.
    Authorize,
    /// `/oauth2.0/token`, for codes and for refresh tokens.
    Token,
    /// `/oauth2.0/me`, openid and UnionID.
    Me,
    /// `/user/get_user_info`, the profile.
    UserInfo,
    /// Any path added with [`MockQq::api`](super::MockQq::api).
    Api,
}

impl Endpoint {
    /// The built-in endpoint a path ends in, whatever prefix it is mounted below.
    pub(super) fn of(path: &str) -> Option<Self> {
        [
            ("/oauth2.0/authorize", Self::Authorize),
            ("/oauth2.0/token", Self::Token),
            ("/oauth2.0/me", Self::Me),
            ("/user/get_user_info", Self::UserInfo),
        ]
        .into_iter()
        .find_map(|(end, endpoint)| path.ends_with(end).then_some(endpoint))
    }
}

/// One request to the mock, from its [journal](super::MockQq::journal).
///
/// It holds everything as it was sent, app key and tokens too.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// The door that was knocked at.
    pub endpoint: Endpoint,
    /// The method; only GET gets an answer.
    pub method: Method,
    /// The path, below whatever the mock is nested in.
    pub path: String,
    /// The query as it was sent, without `?`; empty if there was none.
    pub query: String,
    /// The parameters of the query, decoded, in their order, repetitions included.
    pub params: Vec<(String, String)>,
    /// All headers.
    pub headers: HeaderMap,
}

impl Call {
    pub(super) fn new(endpoint: Endpoint, parts: &request::Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            ..Self::visit(endpoint, parts.uri.path(), query)
        }
    }

    /// A GET without headers.
    pub(super) fn visit(endpoint: Endpoint, path: &str, query: &str) -> Self {
        Self {
            endpoint,
            method: Method::GET,
            path: path.to_owned(),
            query: query.to_owned(),
            params: query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(pair)
                .collect(),
            headers: HeaderMap::new(),
        }
    }

    /// The first parameter of this name, decoded.
    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    /// Like [`param`](Self::param), but an empty value counts as missing, as it does for QQ.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.param(name).filter(|value| !value.is_empty())
    }
}

fn pair(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (decode(name), decode(value))
}

fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
