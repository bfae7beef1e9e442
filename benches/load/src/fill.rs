//! Fills the tables of a site, so that only a leak lets its memory grow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use tokio::task::JoinSet;
use tower_qq_auth::{OpenId, QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, mock::MockQq};

use crate::{
    browser::{Connection, Jar},
    qq::Treatment,
    setup::{CALLBACK, ID, KEY, SESSION_KEY},
    visits::World,
};

/// The cached sessions of a machine, and the revocations that it remembers.
const CACHED: u64 = 100_000;
/// The used states of a machine.
const STATES: u64 = 65_536;

const WORKERS: u64 = 32;

/// Signs users in without QQ.
pub struct Sessions(QqAuthLayer);

impl Sessions {
    pub fn new() -> Self {
        let app = QqApp::new(ID, KEY, CALLBACK).expect("settings");
        let client = QqClient::with_service(app, MockQq::new(ID, KEY, CALLBACK));
        let byte = |at| u8::from_str_radix(&SESSION_KEY[at..at + 2], 16).expect("hex");
        let key: Vec<u8> = (0..SESSION_KEY.len()).step_by(2).map(byte).collect();
        let keys = SessionKeys::new(&key).expect("a key");
        let layer = QqAuthLayer::builder(client, keys)
            .revocations(tower_qq_auth::revocation::InMemoryRevocations::new());
        Self(layer.build().expect("settings"))
    }

    /// Returns the cookies of a new session of the user with this number.
    pub fn start(&self, user: u64) -> Jar {
        let openid = OpenId::new(format!("{user:032X}")).expect("an openid");
        let cookie = self.0.session_cookie(&QqUser::new(openid), None);
        let cookie = cookie.expect("a session");
        let (name, value) = cookie.split_once('=').expect("a pair");
        Jar::from([(name.to_owned(), value.to_owned())])
    }
}

/// Runs `work` once for each number, several at a time.
pub async fn for_each<W>(total: u64, workers: u64, start: impl Fn() -> W)
where
    W: AsyncWork,
{
    let next = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for _ in 0..workers {
        let (next, mut worker) = (Arc::clone(&next), start());
        running.spawn(async move {
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= total {
                    return;
                }
                worker.work(number).await;
            }
        });
    }
    running.join_all().await;
}

/// A worker of [`for_each`].
pub trait AsyncWork: Send + 'static {
    fn work(&mut self, number: u64) -> impl Future<Output = ()> + Send;
}

struct Visitor {
    connection: Connection,
    sessions: Arc<Sessions>,
}

impl AsyncWork for Visitor {
    /// Views a page and logs out.
    async fn work(&mut self, number: u64) {
        let mut jar = self.sessions.start(number);
        let page = self.connection.get("/me", &mut jar).await.expect("a page");
        assert_eq!(page.status, 200, "{page:?}");
        let end = self.connection.post("/auth/qq/logout", &mut jar).await;
        assert_eq!(end.expect("a logout").status, 303);
    }
}

struct Login {
    world: Arc<World>,
    connection: Connection,
}

impl AsyncWork for Login {
    async fn work(&mut self, _: u64) {
        let mut jar = Jar::new();
        let start = self.connection.get("/auth/qq/login", &mut jar).await;
        let start = start.expect("the start of a login");
        let code = self
            .world
            .qq
            .approve(start.location(), None, Treatment::Normal);
        let code = code.expect("the user agrees");
        match self.connection.get(&code.callback, &mut jar).await {
            Ok(end) if end.status == 303 => {}
            end => self
                .world
                .lose(format!("a login: {} calls: {end:?}", code.calls())),
        }
    }
}

/// Fills the tables of both machines.
pub async fn fill(world: &Arc<World>) {
    let sessions = Arc::new(Sessions::new());
    for machine in world.machines {
        let start = Instant::now();
        for_each(CACHED, WORKERS, || Visitor {
            connection: Connection::new(machine),
            sessions: Arc::clone(&sessions),
        })
        .await;
        println!(
            "{CACHED} sessions viewed a page and logged out in {:.0?}",
            start.elapsed()
        );
        let start = Instant::now();
        for_each(STATES, WORKERS, || Login {
            world: Arc::clone(world),
            connection: Connection::new(machine),
        })
        .await;
        println!("{STATES} logins in {:.0?}", start.elapsed());
    }
}
