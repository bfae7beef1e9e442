//! Reading a request: its head, its client, the page that caused it, its query.

pub(crate) mod caller;
pub(crate) mod head;
pub(crate) mod query;
pub(crate) mod requester;
