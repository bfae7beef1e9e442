//! Reading a request: its head, its client, its initiator, its query.

pub(crate) mod head;
pub(crate) mod initiator;
pub(crate) mod query;
pub(crate) mod requester;
