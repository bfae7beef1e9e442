//! Two instances of a site, what they need, and a proxy in front of them.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use axum::Router;
use http::StatusCode;
use tower_qq_auth::{OpenId, QqApp, QqAuthLayer, QqClient, QqUser, mock::MockQq};

use super::{
    front::{Front, Proxy, WWW},
    qq::Qq,
};
use crate::{
    process::{Running, SESSION_KEY, session_keys},
    redis::server::{Redis, eventually},
    site::{APP_ID, APP_KEY, Browser, Reply, Site},
};

const CALLBACK: &str = "https://www.site.test/auth/qq/callback";
const PASSWORD: &str = "redis-password";
pub(super) const NAMES: [&str; 2] = ["north", "south"];

pub(crate) struct Deployment {
    pub(super) proxy: Proxy,
    pub(crate) front: Front,
    pub(super) qq: Qq,
    pub(super) redis: Redis,
    instances: [Option<Running>; 2],
    addresses: [SocketAddr; 2],
}

impl Deployment {
    /// Returns `None` if a program is not installed.
    pub(crate) async fn start(proxy: Proxy) -> Option<Self> {
        let redis = Redis::start_with(&["--requirepass", PASSWORD]).await?;
        let qq = Qq::start(MockQq::new(APP_ID, APP_KEY, CALLBACK)).await;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (mut addresses, mut instances) = ([any; 2], [None, None]);
        for number in [0, 1] {
            let mut instance = start(number, any, &qq, &redis, SESSION_KEY);
            addresses[number] = instance.printed("listening").await.parse().unwrap();
            instances[number] = Some(instance);
        }
        let front = Front::start(proxy, addresses, Vec::new()).await?;
        Some(Self {
            proxy,
            front,
            qq,
            redis,
            instances,
            addresses,
        })
    }

    /// Lets the proxy ask another instance, or take one out, after more statuses than by default.
    pub(super) async fn retry_more(&mut self) {
        let front = Front::start(self.proxy, self.addresses, vec![self.proxy.retry()]);
        self.front = front.await.expect("installed");
    }

    /// Ends an instance as a crash does.
    pub(super) async fn kill(&mut self, number: usize) {
        let instance = self.instances[number].take();
        instance.expect("running").stop().await;
    }

    /// Ends an instance and starts it again with these session keys.
    pub(super) async fn restart(&mut self, number: usize, keys: &str) {
        if self.instances[number].is_some() {
            self.kill(number).await;
        }
        let address = self.addresses[number];
        let mut instance = start(number, address, &self.qq, &self.redis, keys);
        instance.printed("listening").await;
        self.instances[number] = Some(instance);
    }

    /// Returns a browser at the site.
    pub(super) fn browser(&self) -> Browser {
        browser(self.front.https(WWW))
    }

    /// Returns a browser in which the first user of the mock is signed in.
    pub(super) async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let end = browser.sign_in(&self.qq.mock, "/auth/qq/login").await;
        assert_eq!(end.location(), "/");
        browser
    }

    /// Returns a browser with a session that no instance has seen, of this age.
    pub(super) fn with_session(&self, age: Duration) -> Browser {
        let app = QqApp::new(APP_ID, APP_KEY, CALLBACK).unwrap();
        let client = QqClient::with_service(app, self.qq.mock.clone());
        let then = SystemTime::now() - age;
        let layer = QqAuthLayer::builder(client, session_keys()).clock(move || then);
        let layer = layer.build().unwrap();
        let user = QqUser::new(OpenId::new("ANN").unwrap());
        let cookie = layer.session_cookie(&user, None).unwrap();
        let (name, value) = cookie.split_once('=').unwrap();
        let mut browser = self.browser();
        browser.jar.insert(name.into(), value.into());
        browser
    }

    /// Fails unless a public page is well on both instances.
    pub(super) async fn assert_both_serve(&self) {
        let mut seen = [false; 2];
        for _ in 0..4 {
            seen[instance(&self.browser().get("/").await)] = true;
        }
        assert_eq!(seen, [true; 2], "one instance is out of the pool");
    }

    /// Waits until both instances serve pages.
    pub(super) async fn wait_for_both(&self) {
        let mut seen = [false; 2];
        eventually("both instances serve pages", async || {
            let home = self.browser().get("/").await;
            if home.status == StatusCode::OK {
                seen[instance(&home)] = true;
            }
            seen == [true; 2]
        })
        .await;
    }
}

pub(super) fn browser(router: Router) -> Browser {
    let browser = Site::new().browser();
    Browser { router, ..browser }
}

/// Returns the number of the instance that sent this home page.
#[track_caller]
pub(super) fn instance(home: &Reply) -> usize {
    assert_eq!(home.status, StatusCode::OK, "{home:?}");
    let number = NAMES.iter().position(|name| home.body.contains(name));
    number.unwrap_or_else(|| panic!("not a home page: {home:?}"))
}

fn start(number: usize, listen: SocketAddr, qq: &Qq, redis: &Redis, keys: &str) -> Running {
    let listen = listen.to_string();
    let base_url = format!("http://{}", qq.addresses[number]);
    let redis = format!("redis://:{PASSWORD}@127.0.0.1:{}", redis.port);
    let environment = [
        ("LISTEN", &*listen),
        ("INSTANCE", NAMES[number]),
        ("QQ_APP_ID", APP_ID),
        ("QQ_APP_KEY", APP_KEY),
        ("QQ_REDIRECT_URI", CALLBACK),
        ("QQ_SESSION_KEY", keys),
        ("QQ_BASE_URL", &base_url),
        ("REDIS_URL", &redis),
    ];
    Running::start("cluster", &environment)
}
