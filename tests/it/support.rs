//! Helpers of the tests, and no tests.

pub(crate) mod attempt;
pub(crate) mod http2;
#[cfg(feature = "revocation")]
pub(crate) mod list;
pub(crate) mod log;
#[cfg(unix)]
pub(crate) mod nginx;
pub(crate) mod phone;
pub(crate) mod process;
pub(crate) mod shown;
pub(crate) mod site;
pub(crate) mod socket;
