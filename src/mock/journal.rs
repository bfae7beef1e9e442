//! The record of calls.

use std::collections::{HashMap, VecDeque};

use http::{HeaderMap, Method, request};
use percent_encoding::percent_decode_str;

use super::recent::LIMIT;

/// An endpoint of QQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/oauth2.0/authorize`, the page in the browser.
    Authorize,
    /// `/oauth2.0/token`, for codes and for refresh tokens.
    Token,
    /// `/oauth2.0/me`, for the openid and the UnionID.
    Me,
    /// `/user/get_user_info`, for the profile.
    UserInfo,
    /// A path added with [`MockQq::api`](crate::mock::MockQq::api).
    Api,
}

impl Endpoint {
    /// Returns the built-in endpoint that a path ends with, below any prefix.
    pub(super) fn from_path(path: &str) -> Option<Self> {
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

/// A request to the mock, recorded in its [journal](crate::mock::MockQq::journal).
///
/// It contains everything that was sent, including the app key and tokens.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// The endpoint of the request.
    pub endpoint: Endpoint,
    /// The method; the mock rejects all but GET.
    pub method: Method,
    /// The path as it reached the mock; a router that nests the mock strips its own prefix.
    pub path: String,
    /// The raw query without `?`; empty if there is none.
    pub query: String,
    /// The decoded query parameters in order, including duplicates.
    pub params: Vec<(String, String)>,
    /// The headers; empty for [`MockQq::approve`](crate::mock::MockQq::approve) and
    /// [`MockQq::cancel`](crate::mock::MockQq::cancel).
    pub headers: HeaderMap,
}

impl Call {
    pub(super) fn new(endpoint: Endpoint, parts: &request::Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            ..Self::get(endpoint, parts.uri.path(), query)
        }
    }

    /// Creates a GET without headers.
    pub(super) fn get(endpoint: Endpoint, path: &str, query: &str) -> Self {
        Self {
            endpoint,
            method: Method::GET,
            path: path.to_owned(),
            query: query.to_owned(),
            params: query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(parse_pair)
                .collect(),
            headers: HeaderMap::new(),
        }
    }

    /// Returns the decoded value of the first parameter with this name.
    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    pub(super) fn is_mobile(&self) -> bool {
        self.param("display") == Some("mobile")
    }

    /// Returns a value like [`param`](Self::param), but treats an empty one as missing, as QQ does.
    pub(super) fn non_empty_param(&self, name: &str) -> Option<&str> {
        self.param(name).filter(|value| !value.is_empty())
    }
}

/// The last calls in order, and the number of all calls.
#[derive(Default)]
pub(super) struct Journal {
    calls: VecDeque<Call>,
    counts: HashMap<Endpoint, usize>,
}

impl Journal {
    pub(super) fn record(&mut self, call: Call) {
        *self.counts.entry(call.endpoint).or_default() += 1;
        if self.calls.len() == LIMIT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// Returns the last calls, oldest first.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    /// Returns the number of calls of an endpoint, including those that are no longer kept.
    pub(super) fn count(&self, endpoint: Endpoint) -> usize {
        self.counts.get(&endpoint).copied().unwrap_or_default()
    }
}

fn parse_pair(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (decode(name), decode(value))
}

fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
