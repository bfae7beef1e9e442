//! A site with QQ login and a scripted QQ, both in memory, for the fuzz targets.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, Salt},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_qq_auth::{QqApp, QqAuthLayer, QqClient, QqUser, SessionKeys, service::ResponseBody};

pub const APP_ID: &str = "101905280";
pub const CALLBACK: &str = "https://site.example/auth/qq/callback";
pub const TRUSTED: &str = "https://www.site.example";
pub const SESSION: &str = "__Host-qq_session";
const SESSION_KEY: &[u8] = b"session-key \x1b Q7xW2mVz9rT4pLk8nB";
pub const LOGIN: &str = "__Host-qq_login_";
pub const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";

pub const TOKEN: &str = r#"{"access_token":"T0KEN","expires_in":"7776000"}"#;
pub const ME: &str = r#"{"client_id":"101905280","openid":"CC7F5CEFEFC0EBAB9B07EB481AEBC29C"}"#;
pub const PROFILE: &str = r#"{"ret":0,"msg":"","nickname":"N"}"#;

type SiteResponse = Response<ResponseBody<Full<Bytes>>>;
type Site = BoxCloneSyncService<Request<Full<Bytes>>, SiteResponse, Infallible>;

/// The replies of QQ: status and body for token, `/me` and profile.
pub type Replies = [(StatusCode, Bytes); 3];

#[derive(Default)]
struct Qq {
    replies: Replies,
    calls: usize,
}

pub struct Harness {
    runtime: Runtime,
    site: Site,
    qq: Arc<Mutex<Qq>>,
}

/// A login in progress: its cookie in the browser, and the state in its callback.
pub struct StartedLogin {
    pub cookie: (String, String),
    pub state: String,
}

/// A response of the site.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The openid of the user that the app saw.
    pub user: Option<String>,
    /// The QQ app of that user.
    pub app_id: Option<String>,
}

thread_local! {
    static HARNESS: Harness = Harness::new(CALLBACK, "");
    static PREFIXED: Harness = Harness::new("https://site.example/club/auth/qq/callback", "/club");
}

/// Runs a test case with the harness of this thread.
pub fn with_harness(test: impl FnOnce(&Harness)) {
    HARNESS.with(|harness| {
        harness.set_replies([TOKEN, ME, PROFILE].map(ok));
        test(harness);
    });
}

/// Runs a test case with the harness of this thread whose site is at `/club`.
pub fn with_prefixed_harness(test: impl FnOnce(&Harness)) {
    PREFIXED.with(|harness| {
        harness.set_replies([TOKEN, ME, PROFILE].map(ok));
        test(harness);
    });
}

/// Returns a reply with status 200.
pub fn ok(body: &'static str) -> (StatusCode, Bytes) {
    (StatusCode::OK, Bytes::from_static(body.as_bytes()))
}

/// Replaces every `mark` in `text`.
pub fn replace(text: &[u8], mark: &[u8], by: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        output.extend_from_slice(&rest[..at]);
        output.extend_from_slice(by);
        rest = &rest[at + mark.len()..];
    }
    output.extend_from_slice(rest);
    output
}

/// Returns the value of a session cookie with this content.
pub fn seal_session(content: &[u8]) -> String {
    let mut key = [0; 32];
    let root = Salt::new(HKDF_SHA256, b"tower-qq-auth 1").extract(SESSION_KEY);
    let okm = root.expand(&[b"session"], HKDF_SHA256).unwrap();
    okm.fill(&mut key).unwrap();
    let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &key).unwrap();
    let context = Aad::from(format!("session\n{SESSION}\n{APP_ID}\n{CALLBACK}"));
    let mut sealed = content.to_vec();
    let nonce = key.seal_in_place_append_tag(context, &mut sealed).unwrap();
    BASE64_URL_SAFE_NO_PAD.encode([&nonce.as_ref()[..], &sealed].concat())
}

impl Harness {
    /// Creates a site that trusts the pages of [`TRUSTED`].
    fn new(redirect_uri: &str, prefix: &str) -> Self {
        let qq = Arc::new(Mutex::new(Qq::default()));
        let upstream_qq = Arc::clone(&qq);
        let upstream = service_fn(move |request: Request<Full<Bytes>>| {
            let mut qq = upstream_qq.lock().unwrap();
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
        let app = QqApp::new(APP_ID, "app-key", redirect_uri).unwrap();
        let keys = SessionKeys::new(SESSION_KEY).unwrap();
        let layer = QqAuthLayer::builder(QqClient::with_service(app, upstream), keys);
        let layer = layer.public_prefix(prefix).trusted_origins([TRUSTED]);
        let layer = layer.build().unwrap();
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

    /// Returns the number of calls to QQ so far.
    pub fn calls(&self) -> usize {
        self.qq.lock().unwrap().calls
    }

    pub fn set_replies(&self, replies: Replies) {
        self.qq.lock().unwrap().replies = replies;
    }

    /// Sends a GET with these `Cookie` headers, except for those that are no valid header value.
    pub fn get(&self, uri: Uri, cookies: &[&[u8]]) -> Reply {
        let mut request = Request::get(uri).body(Full::default()).unwrap();
        for cookie in cookies {
            if let Ok(cookie) = HeaderValue::from_bytes(cookie) {
                request.headers_mut().append(header::COOKIE, cookie);
            }
        }
        let site = self.site.clone();
        let Ok(response) = self.runtime.block_on(site.oneshot(request));
        let user = response.extensions().get::<QqUser>();
        let reply = Reply {
            status: response.status(),
            user: user.map(|user| user.openid().to_string()),
            app_id: user.map(|user| user.app_id().to_owned()),
            headers: response.headers().clone(),
        };
        assert_ne!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        for cookie in reply.headers.get_all(header::SET_COOKIE) {
            assert!(cookie.len() <= 2048, "{reply:?}");
        }
        reply
    }

    /// Starts a login with this `return_to`.
    pub fn start_login(&self, return_to: &[u8]) -> StartedLogin {
        let return_to = percent_encode(return_to, NON_ALPHANUMERIC);
        let uri = format!("/auth/qq/login?return_to={return_to}");
        let reply = self.get(uri.parse().unwrap(), &[]);
        let url = reply.headers[header::LOCATION].to_str().unwrap();
        let state = url
            .split(['?', '&'])
            .find_map(|it| it.strip_prefix("state="));
        let (name, value) = reply.cookie(LOGIN).unwrap();
        StartedLogin {
            cookie: (name.into(), value.into()),
            state: state.unwrap().into(),
        }
    }

    /// Sends the callback of a login.
    pub fn finish_login(&self, login: &StartedLogin) -> Reply {
        let uri = format!("/auth/qq/callback?code=C0DE&state={}", login.state);
        let (name, value) = &login.cookie;
        let reply = self.get(
            uri.parse().unwrap(),
            &[format!("{name}={value}").as_bytes()],
        );
        let is_signed_in = reply.cookie(SESSION).is_some();
        assert_eq!(
            is_signed_in,
            reply.status == StatusCode::SEE_OTHER,
            "{reply:?}"
        );
        let mut cookies = reply.headers.get_all(header::SET_COOKIE).into_iter();
        let is_removed = cookies.any(|it| it.as_bytes().starts_with(LOGIN.as_bytes()));
        assert!(is_removed, "the login cookie is not removed: {reply:?}");
        reply
    }

    /// Returns the sealed session of a new login.
    pub fn session(&self) -> String {
        let reply = self.finish_login(&self.start_login(b"/"));
        reply.cookie(SESSION).unwrap().1.to_owned()
    }

    /// Runs a login and returns the reply to its callback and the user afterwards.
    pub fn login(&self) -> (Reply, Option<String>) {
        let reply = self.finish_login(&self.start_login(b"/"));
        let user = reply.cookie(SESSION).map(|(name, value)| {
            let cookie = format!("{name}={value}");
            let page = self.get(Uri::from_static("/"), &[cookie.as_bytes()]);
            page.user.expect("a new session is valid")
        });
        (reply, user)
    }
}

impl Reply {
    /// Returns the name and value of the first cookie whose name starts with `name`.
    pub fn cookie(&self, name: &str) -> Option<(&str, &str)> {
        let cookies = self.headers.get_all(header::SET_COOKIE).into_iter();
        let mut pairs = cookies.filter_map(|cookie| {
            let pair = cookie.to_str().ok()?.split(';').next()?;
            pair.split_once('=')
        });
        pairs.find(|(found, value)| found.starts_with(name) && !value.is_empty())
    }
}
