//! Helpers of the tests, and no tests.

pub(crate) mod attempt;
pub(crate) mod process;
pub(crate) mod site;
pub(crate) mod socket;
