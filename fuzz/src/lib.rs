//! A site with QQ login and the QQ behind it, all in memory: what the targets throw their inputs at.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, ResponseBody, SessionKeys};

const APP_ID: &str = "101905280";
pub const CALLBACK: &str = "https://site.example/auth/qq/callback";
pub const SESSION: &str = "__Host-qq_session";
pub const LOGIN: &str = "__Host-qq_login_";
pub const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";

pub const TOKEN: &str = r#"{"access_token":"T0KEN","expires_in":"7776000"}"#;
pub const ME: &str = r#"{"client_id":"101905280","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
pub const PROFILE: &str = r#"{"ret":0,"msg":"","nickname":"N"}"#;

type Answered = Response<ResponseBody<Full<Bytes>>>;
type Site = BoxCloneSyncService<Request<Full<Bytes>>, Answered, Infallible>;

/// What QQ answers: status and body at token, `/me` and profile.
pub type Replies = [(StatusCode, Bytes); 3];

#[derive(Default)]
struct Qq {
    replies: Replies,
    calls: usize,
}

pub struct Stage {
    runtime: Runtime,
    site: Site,
    qq: Arc<Mutex<Qq>>,
}

/// A login under way: what the browser holds and what QQ sends it back with.
pub struct Started {
    pub cookie: (String, String),
    pub state: String,
}

/// What the site answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The openid of whoever the app took the request for.
    pub user: Option<String>,
}

thread_local! {
    static STAGE: Stage = Stage::new();
}

/// Runs on the one stage of this thread.
pub fn on_stage(act: impl FnOnce(&Stage)) {
    STAGE.with(|stage| {
        stage.qq.lock().unwrap().replies = [TOKEN, ME, PROFILE].map(ok);
        act(stage);
    });
}

/// A reply with status 200.
pub fn ok(body: &'static str) -> (StatusCode, Bytes) {
    (StatusCode::OK, Bytes::from_static(body.as_bytes()))
}

/// `text` with every `mark` replaced.
pub fn replaced(text: &[u8], mark: &[u8], by: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        whole.extend_from_slice(&rest[..at]);
        whole.extend_from_slice(by);
        rest = &rest[at + mark.len()..];
    }
    whole.extend_from_slice(rest);
    whole
}

impl Stage {
    fn new() -> Self {
        let qq = Arc::new(Mutex::new(Qq::default()));
        let asked = Arc::clone(&qq);
        let upstream = service_fn(move |request: Request<Full<Bytes>>| {
            let mut qq = asked.lock().unwrap();
            qq.calls += 1;
            let (status, body) = match request.uri().path() {
                "/oauth2.0/token" => qq.replies[0].clone(),
                "/oauth2.0/me" => qq.replies[1].clone(),
                _ => qq.replies[2].clone(),
            };
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = status;
            async { Ok::<_, Infallible>(response) }
        });
        let app = QqApp::new(APP_ID, "app-key", CALLBACK).unwrap();
        let keys = SessionKeys::new(b"session-key 0123456789abcdefghijkl").unwrap();
        let layer = QqAuthLayer::with_client(QqClient::with_service(app, upstream), keys);
        let pages = service_fn(async |request: Request<Full<Bytes>>| {
            let mut response = Response::new(Full::default());
            if let Some(user) = request.extensions().get::<QqUser>() {
                response.extensions_mut().insert(user.clone());
            }
            Ok::<_, Infallible>(response)
        });
        Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            site: BoxCloneSyncService::new(layer.layer(pages)),
            qq,
        }
    }

    /// How many calls QQ has had.
    pub fn calls(&self) -> usize {
        self.qq.lock().unwrap().calls
    }

    pub fn qq_says(&self, replies: Replies) {
        self.qq.lock().unwrap().replies = replies;
    }

    /// A page of the site, or a path of the layer's; without cookies that no header can hold.
    pub fn get(&self, uri: Uri, cookies: &[&[u8]]) -> Answer {
        let mut request = Request::get(uri).body(Full::default()).unwrap();
        for cookie in cookies {
            if let Ok(cookie) = HeaderValue::from_bytes(cookie) {
                request.headers_mut().append(header::COOKIE, cookie);
            }
        }
        let site = self.site.clone();
        let Ok(response) = self.runtime.block_on(site.oneshot(request));
        let user = response.extensions().get::<QqUser>();
        let answer = Answer {
            status: response.status(),
            user: user.map(|user| user.openid().to_string()),
            headers: response.headers().clone(),
        };
        assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            assert!(cookie.len() <= 4096, "{answer:?}");
        }
        answer
    }

    /// Starts a login with this `return_to`.
    pub fn start(&self, return_to: &[u8]) -> Started {
        let return_to = percent_encode(return_to, NON_ALPHANUMERIC);
        let uri = format!("/auth/qq/login?return_to={return_to}");
        let answer = self.get(uri.parse().unwrap(), &[]);
        let url = answer.headers[header::LOCATION].to_str().unwrap();
        let state = url
            .split(['?', '&'])
            .find_map(|it| it.strip_prefix("state="));
        let (name, value) = answer.cookie(LOGIN).unwrap();
        Started {
            cookie: (name.into(), value.into()),
            state: state.unwrap().into(),
        }
    }

    /// The answer to the callback of a login that went as QQ says.
    pub fn finish(&self, login: &Started) -> Answer {
        let uri = format!("/auth/qq/callback?code=C0DE&state={}", login.state);
        let (name, value) = &login.cookie;
        let answer = self.get(
            uri.parse().unwrap(),
            &[format!("{name}={value}").as_bytes()],
        );
        let signed_in = answer.cookie(SESSION).is_some();
        assert_eq!(
            signed_in,
            answer.status == StatusCode::SEE_OTHER,
            "{answer:?}"
        );
        let consumed = answer.headers.get_all(header::SET_COOKIE);
        let consumed = consumed
            .iter()
            .any(|it| it.as_bytes().starts_with(LOGIN.as_bytes()));
        assert!(consumed, "the login is used up: {answer:?}");
        answer
    }

    /// The sealed session of a new login.
    pub fn session(&self) -> String {
        let answer = self.finish(&self.start(b"/"));
        answer.cookie(SESSION).unwrap().1.to_owned()
    }

    /// The answer to a login, and who is signed in after it.
    pub fn login(&self) -> (Answer, Option<String>) {
        let answer = self.finish(&self.start(b"/"));
        let known = answer.cookie(SESSION).map(|(name, value)| {
            let cookie = format!("{name}={value}");
            let page = self.get(Uri::from_static("/"), &[cookie.as_bytes()]);
            page.user.expect("a session just made is good")
        });
        (answer, known)
    }
}

impl Answer {
    /// Name and value of the cookie set whose name starts like this.
    pub fn cookie(&self, name: &str) -> Option<(&str, &str)> {
        let cookies = self.headers.get_all(header::SET_COOKIE).into_iter();
        let mut pairs = cookies.filter_map(|cookie| {
            let pair = cookie.to_str().ok()?.split(';').next()?;
            pair.split_once('=')
        });
        pairs.find(|(found, value)| found.starts_with(name) && !value.is_empty())
    }
}
