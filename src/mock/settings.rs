//! The settings of the mock.

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderValue;

use super::{
    journal::Endpoint,
    wire::{Shape, WireStyle},
};

/// All settings except users and the lifetime of tokens.
pub(super) struct MockSettings {
    pub(super) shapes: HashMap<Endpoint, Shape>,
    pub(super) style: WireStyle,
    pub(super) content_type: HeaderValue,
    pub(super) ignores_need_openid: bool,
    pub(super) grants_union_id: bool,
    pub(super) omits_union_id: bool,
    /// Paths and bodies of the additional APIs.
    pub(super) apis: Vec<(String, Bytes)>,
}

impl Default for MockSettings {
    fn default() -> Self {
        Self {
            shapes: HashMap::new(),
            style: WireStyle::default(),
            content_type: HeaderValue::from_static("text/html"),
            ignores_need_openid: false,
            grants_union_id: false,
            omits_union_id: false,
            apis: Vec::new(),
        }
    }
}
