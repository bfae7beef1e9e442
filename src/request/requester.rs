//! Who is asking: a person or a program, in which language, on what kind of device.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::Language;

/// How to answer somebody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Audience {
    /// A page for a person, or JSON for a program.
    pub(super) wants_page: bool,
    pub(super) language: Language,
    /// Whether any cookie came along, ours or not.
    pub(super) sends_cookies: bool,
}

/// What is asked of every request.
#[derive(Clone, Copy)]
pub(super) struct Glance {
    pub(super) wants_page: bool,
    pub(super) sends_cookies: bool,
}

impl Audience {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Glance {
            wants_page,
            sends_cookies,
        } = Glance::at(headers);
        Self {
            wants_page,
            language: language(headers),
            sends_cookies,
        }
    }
}

impl Glance {
    /// To look once at each header is quicker than to hash names.
    ///
    /// A browser that goes to a page says so by Fetch Metadata, or else by accepting HTML by name.
    pub(super) fn at(headers: &HeaderMap) -> Self {
        let (mut mode, mut destination, mut accepts_html) = (None, None, false);
        let mut sends_cookies = false;
        for (name, value) in headers {
            if *name == header::COOKIE {
                sends_cookies = true;
            } else if *name == header::ACCEPT {
                accepts_html |= mode.is_none() && accepted(value, "text/html");
            } else if *name == SEC_FETCH_MODE {
                mode = Some(value);
            } else if *name == SEC_FETCH_DEST {
                destination = Some(value);
            }
        }
        let wants_page = match mode {
            Some(mode) => mode == "navigate" && destination.is_none_or(|it| it == "document"),
            None => accepts_html,
        };
        Self {
            wants_page,
            sends_cookies,
        }
    }
}

/// Whether this is a program that wants to go to QQ by itself.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let mut accept = headers.get_all(header::ACCEPT).iter();
    !Glance::at(headers).wants_page && accept.any(|value| accepted(value, "application/json"))
}

/// Whether this type is accepted by name.
fn accepted(value: &HeaderValue, media_type: &str) -> bool {
    ranges(value).any(|(range, parameters)| {
        range.eq_ignore_ascii_case(media_type.as_bytes()) && weight(parameters) > 0.0
    })
}

/// Whether the browser loads the page before anybody asked for it, or for a picture of it.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    [SEC_PURPOSE, PURPOSE, X_PURPOSE].iter().any(|name| {
        header_text(headers, name).is_some_and(|value| {
            let purpose = value.split([';', ',']).next().unwrap_or_default();
            let is = |early: &&str| purpose.trim().eq_ignore_ascii_case(early);
            ["prefetch", "preview"].iter().any(is)
        })
    })
}

/// Whether QQ should show its page for phones.
pub(super) fn is_phone(headers: &HeaderMap) -> bool {
    match header_text(headers, &SEC_CH_UA_MOBILE) {
        Some(hint) => hint.trim() == "?1",
        None => header_text(headers, &header::USER_AGENT).is_some_and(|agent| {
            agent.contains("iPhone") || agent.contains("Mobile") && !agent.contains("iPad")
        }),
    }
}

/// Chinese, unless English is preferred to it.
fn language(headers: &HeaderMap) -> Language {
    let best = |language: &str| {
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
    if best("en") > best("zh") {
        Language::English
    } else {
        Language::Chinese
    }
}

/// The ranges of an `Accept…` header and their parameters (RFC 9110, section 12.5).
fn ranges(value: &HeaderValue) -> impl Iterator<Item = (&[u8], &[u8])> {
    let items = value.as_bytes().split(|&byte| byte == b',');
    items.map(|item| {
        let end = item.iter().position(|&byte| byte == b';');
        let (range, parameters) = item.split_at(end.unwrap_or(item.len()));
        (range.trim_ascii(), parameters)
    })
}

/// By how much a range is preferred to others (RFC 9110, section 12.4.2).
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
