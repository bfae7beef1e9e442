//! QQ: the mock behind a real nginx, which speaks HTTP/2 or HTTP/1.1 over TLS and closes its
//! connections often.

use std::{
    collections::HashMap,
    convert::Infallible,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Response, StatusCode};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tower::Service;
use tower_qq_auth::mock::{Endpoint, Fault, MockBody, MockQq, Person};

use crate::{
    process::{Nginx, folder, free_port},
    setup::{CALLBACK, ID, KEY},
};

/// The treatment of a login by QQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    Normal,
    /// Answers after two seconds, less than the time limit of a call.
    Slow,
    /// Fails the call for the profile, without which a login succeeds as well.
    NoProfile,
    Busy,
    BadGateway,
    CutBody,
    Garbage,
    TooLarge,
    ErrorCode,
    Silence,
}

use Treatment::*;

/// The treatments other than the normal one, in turn.
pub const TROUBLES: [Treatment; 9] = [
    Slow, Busy, NoProfile, CutBody, Garbage, BadGateway, TooLarge, ErrorCode, Silence,
];

impl Treatment {
    /// Returns whether a login with this treatment fails by QQ's fault.
    pub fn is_failure(self) -> bool {
        !matches!(self, Normal | Slow | NoProfile)
    }

    fn fault(self) -> Option<(Endpoint, Fault)> {
        let fault = match self {
            Normal => return None,
            NoProfile => {
                let error = Fault::Status(StatusCode::INTERNAL_SERVER_ERROR);
                return Some((Endpoint::UserInfo, error));
            }
            Slow => Fault::Latency(Duration::from_secs(2)),
            Busy => Fault::Status(StatusCode::SERVICE_UNAVAILABLE),
            BadGateway => Fault::Status(StatusCode::BAD_GATEWAY),
            CutBody => Fault::CutBody,
            Garbage => Response::new("<html>").into(),
            TooLarge => Response::new(vec![b' '; 256 * 1024]).into(),
            ErrorCode => Fault::Code(100_020),
            Silence => Fault::Silence,
        };
        Some((Endpoint::Token, fault))
    }
}

/// A login at QQ. QQ forgets it when it is dropped.
pub struct Code {
    qq: Arc<Qq>,
    code: String,
    /// The path of the callback.
    pub callback: String,
    pub treatment: Treatment,
}

impl Code {
    /// Returns how often QQ got the code.
    pub fn calls(&self) -> usize {
        let codes = self.qq.codes();
        codes.get(&self.code).map_or(0, |&(_, calls)| calls)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.qq.codes().remove(&self.code);
    }
}

pub struct Qq {
    mock: MockQq,
    /// The logins under way: their treatment, and how often QQ got the code.
    codes: Mutex<HashMap<String, (Treatment, usize)>>,
    /// Keeps a fault and the call that it is meant for together.
    turn: Mutex<()>,
}

impl Qq {
    /// Serves the mock without TLS, and returns it with its port.
    pub async fn serve() -> (Arc<Self>, u16) {
        let qq = Arc::new(Self {
            mock: MockQq::new(ID, KEY, CALLBACK),
            codes: Mutex::default(),
            turn: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let served = Arc::clone(&qq);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let qq = Arc::clone(&served);
                let service = service_fn(move |request| Arc::clone(&qq).answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        (qq, port)
    }

    /// Lets the user of an authorize URL agree. `openid` is a new user, `None` the first one.
    pub fn approve(
        self: &Arc<Self>,
        url: &str,
        openid: Option<&str>,
        treatment: Treatment,
    ) -> Result<Code, String> {
        let callback = match openid {
            None => self.mock.approve(url),
            Some(openid) => {
                self.mock.add_person(Person::new(openid, "小明"));
                self.mock.approve_as(url, openid)
            }
        };
        let callback = callback.map_err(|it| format!("QQ refuses {url}: {it}"))?;
        let callback = callback
            .trim_start_matches("https://site.example")
            .to_owned();
        let code = find_param(&callback, "code").unwrap_or_default().to_owned();
        self.codes().insert(code.clone(), (treatment, 0));
        Ok(Code {
            qq: Arc::clone(self),
            code,
            callback,
            treatment,
        })
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let code = request.uri().query().and_then(|it| find_param(it, "code"));
        let treatment = code.and_then(|code| {
            let mut codes = self.codes();
            let (treatment, calls) = codes.get_mut(code)?;
            *calls += 1;
            Some(*treatment)
        });
        let mut mock = self.mock.clone();
        let mut answer = mock.call(request);
        let first = {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((endpoint, fault)) = treatment.and_then(Treatment::fault) {
                mock.fault(endpoint, 1, fault);
            }
            // The mock takes the fault as soon as it is polled.
            answer
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
        };
        match first {
            Poll::Ready(answer) => answer,
            Poll::Pending => answer.await,
        }
    }

    fn codes(&self) -> MutexGuard<'_, HashMap<String, (Treatment, usize)>> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = Result<Response<MockBody>, Infallible>;

fn find_param<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split(['?', '&']);
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The nginx in front of QQ.
pub struct Front {
    _nginx: Nginx,
    /// The base URL of QQ by HTTP/2.
    pub http2: String,
    /// The base URL of QQ by HTTP/1.1.
    pub http1: String,
    /// The certificate authority that a site has to trust.
    pub authority: PathBuf,
}

impl Front {
    /// Closes connections after 50 requests, and after a second without one.
    pub async fn start(qq: u16) -> Self {
        let folder = folder();
        let authority = folder.join("authority.pem");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(&authority, certificate.pem()).expect("a file");
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        fs::write(folder.join("qq.pem"), certificate.pem()).expect("a file");
        fs::write(folder.join("qq.key"), key.serialize_pem()).expect("a file");

        let (http1, http2) = (free_port(), free_port());
        let server = |listen: String| {
            format!(
                "server {{
                    listen {listen};
                    ssl_certificate qq.pem; ssl_certificate_key qq.key;
                    keepalive_requests 50; keepalive_timeout 1s;
                    location / {{ proxy_pass http://127.0.0.1:{qq}; }}
                }}"
            )
        };
        let blocks = [
            server(format!("127.0.0.1:{http2} ssl http2")),
            server(format!("127.0.0.1:{http1} ssl")),
        ];
        Self {
            _nginx: Nginx::start("qq", http1, &blocks.concat()).await,
            http2: format!("https://localhost:{http2}"),
            http1: format!("https://localhost:{http1}"),
            authority,
        }
    }
}
