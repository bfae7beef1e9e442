//! The client that sent a request: its kind, its language, its device.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::initiator::{Initiator, Single};
use crate::language::Language;
use crate::origins::Origins;

/// The client that sent a request, classified once.
#[derive(Clone, Copy)]
pub(crate) struct Requester {
    pub(crate) kind: RequesterKind,
    pub(crate) purpose: Purpose,
    /// `true` if the request has any cookie, of the layer or not.
    pub(crate) sends_cookies: bool,
    pub(crate) initiator: Initiator,
}

/// The kind of client, which decides how a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequesterKind {
    /// A browser that navigates. It gets a redirect or a page, and can return after the login.
    Page,
    /// A browser that loads a frame. It gets a page with a link that opens at the top.
    Frame,
    /// A browser that submits a form. It gets a page: a redirect would lose the input.
    Form,
    /// The script htmx. It gets JSON, and `HX-Redirect` makes it navigate.
    Htmx,
    /// A program or another script. It gets JSON.
    Program,
}

/// The use of the response, by Fetch Metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A navigation, of the top or of a frame.
    Navigate,
    /// A `fetch` or `XMLHttpRequest` of a script.
    Fetch,
    /// A part of a page, such as an image, a script, a style or a font.
    Subresource,
    /// The browser loads it before a click, or for a preview.
    Prefetch,
    /// The client sends no Fetch Metadata: a program, an old browser, or plain http.
    Unknown,
}

impl Requester {
    /// Classifies a request. Fetch Metadata, or else `Accept: text/html`, marks a navigation.
    ///
    /// One pass over the headers is faster than a lookup for each. Reading `Accept` costs most, and
    /// browsers that send Fetch Metadata do not need it.
    pub(crate) fn of(method: &Method, headers: &HeaderMap, origins: &Origins) -> Self {
        let (mut mode, mut destination) = (None, None);
        let (mut sends_cookies, mut is_early, mut is_htmx) = (false, false, false);
        let (mut site, mut origin) = (Single::default(), Single::default());
        for (name, value) in headers {
            if *name == header::COOKIE {
                sends_cookies = true;
            } else if *name == header::ORIGIN {
                origin.push(value);
            } else if *name == SEC_FETCH_SITE {
                site.push(value);
            } else if *name == SEC_FETCH_MODE {
                mode = Some(value.as_bytes());
            } else if *name == SEC_FETCH_DEST {
                destination = Some(value.as_bytes());
            } else if PURPOSES.contains(name) {
                is_early |= is_prefetch(value);
            } else if *name == HX_REQUEST {
                is_htmx |= value == "true";
            }
        }
        let navigates = match mode {
            Some(mode) => mode == b"navigate",
            None => accept_names(headers, "text/html"),
        };
        let kind = if is_htmx {
            RequesterKind::Htmx
        } else if !navigates {
            RequesterKind::Program
        } else if destination.is_some_and(|destination| FRAMES.contains(&destination)) {
            RequesterKind::Frame
        } else if matches!(*method, Method::GET | Method::HEAD) {
            RequesterKind::Page
        } else {
            RequesterKind::Form
        };
        let purpose = match (mode, destination) {
            _ if is_early => Purpose::Prefetch,
            (None, None) => Purpose::Unknown,
            (Some(b"navigate"), _) => Purpose::Navigate,
            (Some(b"cors" | b"same-origin") | None, Some(b"empty") | None) => Purpose::Fetch,
            _ => Purpose::Subresource,
        };
        Self {
            kind,
            purpose,
            sends_cookies,
            initiator: Initiator::new(site, origin, origins),
        }
    }

    pub(crate) fn wants_page(self) -> bool {
        !matches!(self.kind, RequesterKind::Htmx | RequesterKind::Program)
    }
}

/// Destinations of a navigation inside another page.
const FRAMES: [&[u8]; 5] = [b"iframe", b"frame", b"fencedframe", b"embed", b"object"];

pub(crate) fn accepts_json(headers: &HeaderMap) -> bool {
    accept_names(headers, "application/json")
}

/// Returns whether `Accept` names this type; wildcards do not count.
fn accept_names(headers: &HeaderMap, media_type: &str) -> bool {
    let mut ranges = headers.get_all(header::ACCEPT).iter().flat_map(ranges);
    ranges.any(|(range, parameters)| {
        range.eq_ignore_ascii_case(media_type.as_bytes()) && weight(parameters) > 0.0
    })
}

/// Returns whether a header value names a load before a click, such as `prefetch;prerender`.
fn is_prefetch(purpose: &HeaderValue) -> bool {
    let purpose = purpose.as_bytes().split(|byte| b";,".contains(byte));
    purpose.map(<[u8]>::trim_ascii).any(|purpose| {
        let is = |early: &&[u8]| purpose.eq_ignore_ascii_case(early);
        [&b"prefetch"[..], b"prerender", b"preview"].iter().any(is)
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

/// The language of a client, parsed only if the layer writes text.
pub(crate) enum ClientLanguage {
    Known(Language),
    /// The `Accept-Language` header.
    Header(HeaderValue),
}

impl Default for ClientLanguage {
    fn default() -> Self {
        Self::Known(Language::default())
    }
}

impl ClientLanguage {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::ACCEPT_LANGUAGE).into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::default(),
            (Some(value), None) => Self::Header(value.clone()),
            (Some(_), Some(_)) => Self::Known(preferred_language(headers)),
        }
    }

    pub(crate) fn get(&self) -> Language {
        match self {
            Self::Known(language) => *language,
            Self::Header(value) => choose_language([value]),
        }
    }
}

/// Returns Chinese, unless the client prefers English to it.
pub(crate) fn preferred_language(headers: &HeaderMap) -> Language {
    choose_language(headers.get_all(header::ACCEPT_LANGUAGE))
}

fn choose_language<'h>(values: impl IntoIterator<Item = &'h HeaderValue>) -> Language {
    let (mut chinese, mut english) = (0.0_f32, 0.0_f32);
    for (range, parameters) in values.into_iter().flat_map(ranges) {
        let primary = range.split(|&byte| byte == b'-').next().unwrap_or(range);
        if primary.eq_ignore_ascii_case(b"zh") {
            chinese = chinese.max(weight(parameters));
        } else if primary.eq_ignore_ascii_case(b"en") {
            english = english.max(weight(parameters));
        }
    }
    if english > chinese {
        Language::English
    } else {
        Language::Chinese
    }
}

/// Splits an `Accept…` header, in place and without allocation, into ranges and their parameters
/// (RFC 9110, section 12.5).
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
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Browsers name a prefetch in different headers.
const PURPOSES: [HeaderName; 5] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
    HeaderName::from_static("x-sec-purpose"),
];
const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
const SEC_CH_UA_MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
