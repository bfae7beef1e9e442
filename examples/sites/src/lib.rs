//! The server and the look that the examples share. `../../quickstart.rs` does without it.

#[cfg(feature = "axum")]
mod page;
mod server;
mod shutdown;

#[cfg(feature = "axum")]
pub use page::{page, user_card, with_style};
pub use server::{Server, listen};
pub use shutdown::shutdown_signal;
