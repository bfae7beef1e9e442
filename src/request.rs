//! Reading a request: its head, its client, its origin, its query.

pub(crate) mod head;
pub(crate) mod origin;
pub(crate) mod query;
pub(crate) mod requester;
