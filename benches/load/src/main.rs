//! Ten minutes of traffic, and the figures of many machines. See `README.md`.

mod browser;
mod fill;
mod load;
mod machines;
mod process;
mod qq;
mod setup;
mod site;
mod visits;

#[tokio::main]
async fn main() {
    match std::env::args().nth(1).as_deref() {
        None => load::run().await,
        Some("machines") => machines::run().await,
        Some("site") => site::run().await,
        Some(other) => panic!("unknown: {other}"),
    }
}
