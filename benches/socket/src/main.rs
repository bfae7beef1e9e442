//! The cost of a request with QQ login over a TCP socket, compared with other ways to keep users
//! signed in. See `README.md`.

use std::{
    env,
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

mod case;
mod core;
mod load;
mod redis_server;
mod report;
mod server;
mod subjects;
#[path = "../../peers/src/user.rs"]
mod user;

use case::Case;
use redis_server::RedisServer;
use report::Report;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", case, core, redis] => server::serve(case, core.parse()?, redis),
        _ => compare(&arguments),
    }
}

/// Measures the cases whose names contain one of the words, and their bases.
fn compare(words: &[&str]) -> Result<()> {
    let seconds = setting("BENCH_SECONDS", 180)?;
    let rounds = setting("BENCH_ROUNDS", 10)?;
    let [load_core, server_core] = core::two()?;
    core::pin(load_core)?;
    let redis = RedisServer::start()?;
    let mut cases = case::chosen(words);
    if redis.is_none() {
        eprintln!("!!! redis-server is not installed: the rows with Redis are missing");
        cases.retain(|case| !case.subject.needs_redis());
    }
    let redis = redis.as_ref().map_or("", RedisServer::url);
    let time = Duration::from_secs(seconds) / (rounds * cases.len() as u64) as u32;
    let mut report = Report::default();
    for round in 1..=rounds {
        shuffle(&mut cases);
        for case in &cases {
            report.add(case, case.measure(server_core, redis, time)?);
        }
        eprintln!("round {round} of {rounds}");
    }
    report.check()?;
    println!("{report}");
    Ok(())
}

fn setting(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(value) => Ok(value.parse()?),
        Err(_) => Ok(default),
    }
}

/// Changes the order, so that no case always follows the same one.
fn shuffle(cases: &mut [&Case]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut random = now.map_or(1, |now| now.as_nanos() as u64 | 1);
    for at in (1..cases.len()).rev() {
        // xorshift
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        cases.swap(at, (random % (at as u64 + 1)) as usize);
    }
}
