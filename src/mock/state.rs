//! Everything behind the lock, and the way of a request through it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request};

use super::{
    Call, Endpoint, Fault, MockBody, Person, Refused, Shape,
    fault::Faults,
    settings::Settings,
    store::Store,
    wire::{Fields, Value},
};

pub(super) struct State {
    pub(super) app: App,
    pub(super) people: Vec<Person>,
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) faults: Faults,
    pub(super) journal: Vec<Call>,
}

/// The app as it is registered.
pub(super) struct App {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) redirect_uri: String,
}

/// What to send, and when.
pub(super) enum Answer {
    Now(Response<MockBody>),
    After(Duration, Response<MockBody>),
    Never,
}

impl State {
    pub(super) fn new(id: String, key: String, redirect_uri: String) -> Self {
        Self {
            app: App {
                id,
                key,
                redirect_uri,
            },
            people: Person::defaults(),
            settings: Settings::default(),
            store: Store::new(),
            faults: Faults::default(),
            journal: Vec::new(),
        }
    }

    pub(super) fn answer(&mut self, parts: &request::Parts) -> Answer {
        let Some(endpoint) = self.endpoint(parts.uri.path()) else {
            return Answer::Now(status(StatusCode::NOT_FOUND));
        };
        let call = Call::new(endpoint, parts);
        self.journal.push(call.clone());
        if parts.method != Method::GET {
            let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
            let allow = HeaderValue::from_static("GET");
            response.headers_mut().insert(header::ALLOW, allow);
            return Answer::Now(response);
        }
        let Some(fault) = self.faults.take(endpoint) else {
            return Answer::Now(self.right_answer(&call));
        };
        match fault {
            Fault::Silence => Answer::Never,
            Fault::Latency(pause) => Answer::After(pause, self.right_answer(&call)),
            Fault::Code(code) => Answer::Now(self.refuse(&call, Refused::new(code))),
            Fault::CutBody => Answer::Now(self.announced_answer(&call).map(MockBody::cut)),
            Fault::Drip(every) => {
                Answer::Now(self.announced_answer(&call).map(|body| body.drip(every)))
            }
            Fault::Status(code) => Answer::Now(status(code)),
            Fault::Raw {
                status,
                headers,
                body,
            } => Answer::Now(raw(status, headers, body)),
        }
    }

    /// A response as QQ sends its data: status 200 and a content type that says nothing.
    pub(super) fn respond(&self, body: Bytes) -> Response<Bytes> {
        let mut response = Response::new(body);
        let content_type = self.settings.content_type.clone();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
        response
    }

    fn endpoint(&self, path: &str) -> Option<Endpoint> {
        Endpoint::of(path).or_else(|| self.api_body(path).map(|_| Endpoint::Api))
    }

    /// The answer of the API added last for this path.
    fn api_body(&self, path: &str) -> Option<&Bytes> {
        let mut apis = self.settings.apis.iter().rev();
        let (_, body) = apis.find(|(end, _)| path.ends_with(end))?;
        Some(body)
    }

    fn right_answer(&mut self, call: &Call) -> Response<MockBody> {
        let fields = match call.endpoint {
            Endpoint::Authorize => return self.authorize(call),
            Endpoint::Token => self.token(call),
            Endpoint::Me => self.me(call),
            Endpoint::UserInfo => self.user_info(call),
            Endpoint::Api => match self.check_api(call) {
                Ok(_) => {
                    let body = self.api_body(&call.path).cloned();
                    return self.respond(body.unwrap_or_default()).map(MockBody::from);
                }
                Err(refused) => Err(refused),
            },
        };
        match fields {
            Ok(fields) => {
                let shape = self.shape_for(call, false);
                self.write(shape, &fields)
            }
            Err(refused) => self.refuse(call, refused),
        }
    }

    /// The right answer with its length in the header, for bodies that take their time or never end.
    fn announced_answer(&mut self, call: &Call) -> Response<MockBody> {
        let mut response = self.right_answer(call);
        if let Some(length) = http_body::Body::size_hint(response.body()).exact() {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }

    fn refuse(&self, call: &Call, refused: Refused) -> Response<MockBody> {
        let shape = self.shape_for(call, true);
        let (code, text) = match (call.endpoint, shape) {
            (Endpoint::Authorize, _) => return super::page::refused(refused),
            (Endpoint::UserInfo | Endpoint::Api, _) => ("ret", "msg"),
            (_, Shape::Form) => ("code", "msg"),
            _ => ("error", "error_description"),
        };
        let fields = vec![
            (code, Value::Number(refused.code().into())),
            (text, Value::text(refused.text())),
        ];
        self.write(shape, &fields)
    }

    fn write(&self, shape: Shape, fields: &Fields) -> Response<MockBody> {
        let body = self.settings.style.write(shape, fields);
        self.respond(body.into()).map(MockBody::from)
    }

    fn shape_for(&self, call: &Call, error: bool) -> Shape {
        match self.settings.shapes.get(&call.endpoint) {
            None | Some(Shape::AsAsked) => {}
            Some(shape) => return *shape,
        }
        match call.endpoint {
            Endpoint::UserInfo if !error => Shape::JsonPretty,
            Endpoint::UserInfo | Endpoint::Api => Shape::Json,
            _ if call.param("fmt") == Some("json") => Shape::Json,
            Endpoint::Token if !error => Shape::Form,
            _ => Shape::Jsonp,
        }
    }
}

/// A bare status; errors carry the page a gateway would show.
fn status(status: StatusCode) -> Response<MockBody> {
    let page = if status.is_client_error() || status.is_server_error() {
        format!("<html><head><title>{status}</title></head><body>{status}</body></html>")
    } else {
        String::new()
    };
    raw(status, HeaderMap::new(), page.into())
}

fn raw(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<MockBody> {
    let mut response = Response::new(MockBody::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
