//! The client that sent a request: its kind, its language, its device.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::language::Language;

/// The client that sent a request, classified once.
#[derive(Clone, Copy)]
pub(crate) struct Requester {
    pub(crate) kind: RequesterKind,
    /// `true` if the request has any cookie, of the layer or not.
    pub(crate) sends_cookies: bool,
}

/// The kind of client, which decides how a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequesterKind {
    /// A browser that navigates. It gets a redirect or a page, and can return after the login.
    Page,
    /// A browser that submits a form. It gets a page: a redirect would lose the input.
    Form,
    /// A program or script. It gets JSON.
    Program,
}

impl Requester {
    /// Classifies a request. Fetch Metadata, or else `Accept: text/html`, marks a navigation.
    ///
    /// One pass over the headers is faster than four lookups.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let (mut mode, mut destination, mut accepts_html) = (None, None, false);
        let mut sends_cookies = false;
        for (name, value) in headers {
            if *name == header::COOKIE {
                sends_cookies = true;
            } else if *name == header::ACCEPT {
                accepts_html |= mode.is_none() && accepts(value, "text/html");
            } else if *name == SEC_FETCH_MODE {
                mode = Some(value);
            } else if *name == SEC_FETCH_DEST {
                destination = Some(value);
            }
        }
        let navigates = match mode {
            Some(mode) => {
                mode == "navigate"
                    && destination.is_none_or(|destination| destination == "document")
            }
            None => accepts_html,
        };
        let kind = if !navigates {
            RequesterKind::Program
        } else if matches!(*method, Method::GET | Method::HEAD) {
            RequesterKind::Page
        } else {
            RequesterKind::Form
        };
        Self {
            kind,
            sends_cookies,
        }
    }

    pub(crate) fn wants_page(self) -> bool {
        self.kind != RequesterKind::Program
    }
}

pub(crate) fn accepts_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter();
    values.any(|value| accepts(value, "application/json"))
}

/// Returns whether the header names this type; wildcards do not count.
fn accepts(value: &HeaderValue, media_type: &str) -> bool {
    ranges(value).any(|(range, parameters)| {
        range.eq_ignore_ascii_case(media_type.as_bytes()) && weight(parameters) > 0.0
    })
}

/// Returns whether the browser loads the page ahead of a click, or for a preview.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    [SEC_PURPOSE, PURPOSE, X_PURPOSE].iter().any(|name| {
        header_text(headers, name).is_some_and(|value| {
            let purpose = value.split([';', ',']).next().unwrap_or_default();
            let is_early = |early: &&str| purpose.trim().eq_ignore_ascii_case(early);
            ["prefetch", "preview"].iter().any(is_early)
        })
    })
}

/// Returns whether QQ should show its page for phones.
pub(crate) fn is_phone(headers: &HeaderMap) -> bool {
    match header_text(headers, &SEC_CH_UA_MOBILE) {
        Some(hint) => hint.trim() == "?1",
        None => header_text(headers, &header::USER_AGENT).is_some_and(|agent| {
            agent.contains("iPhone") || agent.contains("Mobile") && !agent.contains("iPad")
        }),
    }
}

/// Returns Chinese, unless the client prefers English to it.
pub(crate) fn preferred_language(headers: &HeaderMap) -> Language {
    let preference = |language: &str| {
        let values = headers.get_all(header::ACCEPT_LANGUAGE).into_iter();
        values
            .flat_map(ranges)
            .filter(|(range, _)| {
                let primary = range.split(|&byte| byte == b'-').next();
                primary.is_some_and(|primary| primary.eq_ignore_ascii_case(language.as_bytes()))
            })
            .map(|(_, parameters)| weight(parameters))
            .fold(0.0, f32::max)
    };
    if preference("en") > preference("zh") {
        Language::English
    } else {
        Language::Chinese
    }
}

/// Splits an `Accept…` header, in place and without allocation, into ranges and their parameters (RFC 9110, section 12.5).
fn ranges(value: &HeaderValue) -> impl Iterator<Item = (&[u8], &[u8])> {
    let items = value.as_bytes().split(|&byte| byte == b',');
    items.map(|item| {
        let end = item.iter().position(|&byte| byte == b';');
        let (range, parameters) = item.split_at(end.unwrap_or(item.len()));
        (range.trim_ascii(), parameters)
    })
}

/// Returns the weight of a range, 1 by default (RFC 9110, section 12.4.2).
fn weight(parameters: &[u8]) -> f32 {
    let mut parameters = parameters
        .split(|&byte| byte == b';')
        .map(<[u8]>::trim_ascii);
    let weight = parameters.find_map(|parameter| {
        parameter
            .strip_prefix(b"q=")
            .or(parameter.strip_prefix(b"Q="))
    });
    weight.map_or(1.0, |weight| {
        let weight = std::str::from_utf8(weight).unwrap_or_default();
        weight.parse().unwrap_or(0.0)
    })
}

fn header_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
const X_PURPOSE: HeaderName = HeaderName::from_static("x-purpose");
const SEC_CH_UA_MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
