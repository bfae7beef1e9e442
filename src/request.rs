//! What a request says about itself.

pub(crate) mod head;
pub(crate) mod origin;
pub(crate) mod query;
pub(crate) mod requester;
