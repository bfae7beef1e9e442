//! Who is asking: a person or a program, in which language, on what kind of device.

use http::{HeaderMap, HeaderName, header};

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

impl Audience {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            wants_page: wants_page(headers),
            language: language(headers),
            sends_cookies: headers.contains_key(header::COOKIE),
        }
    }
}

/// Whether this is a browser that goes to a page: it says so by Fetch Metadata, or else by accepting HTML by name.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    match header_text(headers, &SEC_FETCH_MODE) {
        Some(mode) => {
            mode == "navigate"
                && header_text(headers, &SEC_FETCH_DEST).is_none_or(|dest| dest == "document")
        }
        None => accepts(headers, "text/html"),
    }
}

/// Whether this is a program that wants to go to QQ by itself.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    !wants_page(headers) && accepts(headers, "application/json")
}

/// Whether this type is accepted by name.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    ranges(headers, &header::ACCEPT).any(|(range, parameters)| {
        range.eq_ignore_ascii_case(media_type) && weight(parameters) > 0.0
    })
}

/// Whether the browser loads the page before anybody asked for it.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    [SEC_PURPOSE, PURPOSE].iter().any(|name| {
        header_text(headers, name).is_some_and(|value| {
            let purpose = value.split([';', ',']).next().unwrap_or_default();
            purpose.trim().eq_ignore_ascii_case("prefetch")
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
        ranges(headers, &header::ACCEPT_LANGUAGE)
            .filter(|(range, _)| {
                let primary = range.split('-').next().unwrap_or_default();
                primary.eq_ignore_ascii_case(language)
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
fn ranges<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'h str, &'h str)> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|item| {
            let (range, parameters) = item.split_once(';').unwrap_or((item, ""));
            (range.trim(), parameters)
        })
}

/// By how much a range is preferred to others (RFC 9110, section 12.4.2).
fn weight(parameters: &str) -> f32 {
    let weight = parameters.split(';').map(str::trim).find_map(|parameter| {
        parameter
            .strip_prefix("q=")
            .or(parameter.strip_prefix("Q="))
    });
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

pub(super) fn header_text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    // To hash a name that is not a standard one takes longer than to compare it with those of a whole request.
    let (_, value) = headers.iter().find(|(found, _)| *found == name)?;
    value.to_str().ok()
}

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
const SEC_CH_UA_MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
