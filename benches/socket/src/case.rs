//! The rows of the table.

use std::time::Duration;

use crate::{
    Result,
    load::Load,
    server::Server,
    subjects::{MINE, NAME, PUBLIC, Subject},
    user::NICKNAME,
};

/// A subject and the requests that it gets.
pub struct Case {
    pub name: &'static str,
    pub subject: Subject,
    path: &'static str,
    cookies: Cookies,
    /// The case that this one is compared with.
    pub base: Option<&'static str>,
}

enum Cookies {
    None,
    Foreign,
    /// Foreign ones, and the session cookie of the subject.
    SignedIn,
}

/// The result of a run.
pub struct Sample {
    /// Processor time of the server, in microseconds per request.
    pub time: f64,
    /// The share of the time for which the server had work.
    pub busy: f64,
    pub request_len: usize,
    pub response_len: usize,
}

const fn case(
    name: &'static str,
    subject: Subject,
    path: &'static str,
    cookies: Cookies,
    base: Option<&'static str>,
) -> Case {
    Case {
        name,
        subject,
        path,
        cookies,
        base,
    }
}

const BARE: &str = "bare app, our cookie";
const BARE_ID: &str = "bare app, cookie `id`";
const IDENTITY: &str = "identity layer, no cookie";
const IDENTITY_FOREIGN: &str = "identity layer, foreign cookies";
const SIGNED_IN: &str = "tower-qq-auth, signed in and read";

#[rustfmt::skip]
const CASES: [Case; 18] = {
    use Cookies::{Foreign, None as No, SignedIn};
    [
        case("bare app, no cookie", Subject::Bare, PUBLIC, No, None),
        case(IDENTITY, Subject::Identity, PUBLIC, No, None),
        case("tower-qq-auth, no cookie", Subject::Ours, PUBLIC, No, Some(IDENTITY)),
        case("tower-sessions, memory, no cookie", Subject::TowerSessions, PUBLIC, No, Some(IDENTITY)),
        case("tower-sessions, Redis, no cookie", Subject::TowerSessionsRedis, PUBLIC, No, Some(IDENTITY)),
        case("axum-login, memory, no cookie", Subject::AxumLogin, PUBLIC, No, Some(IDENTITY)),
        case("axum-login, Redis, no cookie", Subject::AxumLoginRedis, PUBLIC, No, Some(IDENTITY)),
        case(IDENTITY_FOREIGN, Subject::Identity, PUBLIC, Foreign, None),
        case("tower-qq-auth, foreign cookies", Subject::Ours, PUBLIC, Foreign, Some(IDENTITY_FOREIGN)),
        case(BARE, Subject::Bare, MINE, SignedIn, None),
        case(SIGNED_IN, Subject::Ours, MINE, SignedIn, Some(BARE)),
        case("tower-qq-auth, list in memory", Subject::OursWithList, MINE, SignedIn, Some(SIGNED_IN)),
        case("tower-qq-auth, list on Redis", Subject::OursWithRedis, MINE, SignedIn, Some(SIGNED_IN)),
        case(BARE_ID, Subject::BareWithId, NAME, SignedIn, None),
        case("tower-sessions, memory, session read", Subject::TowerSessions, NAME, SignedIn, Some(BARE_ID)),
        case("tower-sessions, Redis, session read", Subject::TowerSessionsRedis, NAME, SignedIn, Some(BARE_ID)),
        case("axum-login, memory, signed in and read", Subject::AxumLogin, NAME, SignedIn, Some(BARE_ID)),
        case("axum-login, Redis, signed in and read", Subject::AxumLoginRedis, NAME, SignedIn, Some(BARE_ID)),
    ]
};

/// Returns the cases whose names contain one of the words, and their bases. Without words, all.
pub fn chosen(words: &[&str]) -> Vec<&'static Case> {
    let is_named = |case: &Case| words.is_empty() || words.iter().any(|it| case.name.contains(it));
    let named = || CASES.iter().filter(|case| is_named(case));
    let is_base = |case: &Case| named().any(|other| other.base == Some(case.name));
    let is_chosen = |case: &&Case| is_named(case) || is_base(case);
    CASES.iter().filter(is_chosen).collect()
}

pub fn find(name: &str) -> Result<&'static Case> {
    let case = CASES.iter().find(|case| case.name == name);
    Ok(case.ok_or("no such case")?)
}

const FOREIGN: &str =
    "theme=dark; _ga=GA1.2.1234567890.1700000000; lang=zh-CN; cart=8f14e45fceea167a; seen=1";

/// The headers of a browser that follows a link.
const BROWSER: &str = "host: site.example\r\n\
    sec-ch-ua: \"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Windows\"\r\n\
    upgrade-insecure-requests: 1\r\n\
    user-agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
    accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    sec-fetch-site: same-origin\r\n\
    sec-fetch-mode: navigate\r\n\
    sec-fetch-user: ?1\r\n\
    sec-fetch-dest: document\r\n\
    referer: https://site.example/\r\n\
    accept-encoding: gzip, deflate, br, zstd\r\n\
    accept-language: zh-CN,zh;q=0.9,en;q=0.8\r\n";

impl Case {
    /// Starts a server and sends it requests for this long.
    pub fn measure(&self, core: usize, redis: &str, time: Duration) -> Result<Sample> {
        let server = Server::start(self.name, core, redis)?;
        let request = self.request(&server.cookie);
        let mut load = Load::new(server.address, &request, self.body())?;
        load.run(time / 5)?;
        let before = server.processor_time()?;
        let run = load.run(time * 3 / 5)?;
        let used = (server.processor_time()? - before).as_secs_f64();
        Ok(Sample {
            time: used * 1e6 / run.requests as f64,
            busy: used / run.time.as_secs_f64(),
            request_len: request.len(),
            response_len: load.response_len(),
        })
    }

    fn request(&self, cookie: &str) -> String {
        let cookies = match self.cookies {
            Cookies::None => String::new(),
            Cookies::Foreign => format!("cookie: {FOREIGN}\r\n"),
            Cookies::SignedIn => format!("cookie: {FOREIGN}; {cookie}\r\n"),
        };
        format!("GET {} HTTP/1.1\r\n{BROWSER}{cookies}\r\n", self.path)
    }

    fn body(&self) -> &'static str {
        match self.path {
            PUBLIC => "public",
            _ => NICKNAME,
        }
    }
}
