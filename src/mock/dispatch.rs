//! The path of a request through the mock: endpoint, fault, reply.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request};
use http_body::Body;

use super::{
    authorize::redirect_to_error_page,
    body::MockBody,
    fault::Fault,
    journal::{Call, Endpoint},
    refused::Refused,
    state::MockState,
    wire::{FieldList, FieldValue, Shape},
};

/// A response and the time to send it.
pub(super) enum Delivery {
    Immediate(Response<MockBody>),
    Delayed(Duration, Response<MockBody>),
    Never,
}

impl MockState {
    pub(super) fn dispatch(&mut self, parts: &request::Parts) -> Delivery {
        let Some(endpoint) = self.find_endpoint(parts.uri.path()) else {
            let page = self.show_error_page(parts);
            let not_found = || build_bare_response(StatusCode::NOT_FOUND);
            return Delivery::Immediate(page.unwrap_or_else(not_found));
        };
        let call = Call::new(endpoint, parts);
        self.journal.record(call.clone());
        if parts.method != Method::GET {
            let mut response = build_bare_response(StatusCode::METHOD_NOT_ALLOWED);
            let allow = HeaderValue::from_static("GET");
            response.headers_mut().insert(header::ALLOW, allow);
            return Delivery::Immediate(response);
        }
        let fault = self.faults.take(endpoint);
        match fault.or_else(|| self.find_person_fault(&call)) {
            Some(fault) => self.apply_fault(fault, &call),
            None => Delivery::Immediate(self.process(&call)),
        }
    }

    /// Builds a response with status 200 and the configured content type.
    pub(super) fn respond(&self, body: Bytes) -> Response<Bytes> {
        let mut response = Response::new(body);
        let content_type = self.settings.content_type.clone();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
        response
    }

    fn find_endpoint(&self, path: &str) -> Option<Endpoint> {
        Endpoint::from_path(path).or_else(|| self.find_api_body(path).map(|_| Endpoint::Api))
    }

    /// Returns the body of the API added last for this path.
    fn find_api_body(&self, path: &str) -> Option<&Bytes> {
        let mut apis = self.settings.apis.iter().rev();
        let (_, body) = apis.find(|(end, _)| path.ends_with(end))?;
        Some(body)
    }

    /// Returns the fault that the user of a code or access token brings to this endpoint.
    fn find_person_fault(&self, call: &Call) -> Option<Fault> {
        let openid = match call.endpoint {
            Endpoint::Token => self.store.find_openid(call.param("code")?)?,
            _ => {
                let grant = self.store.find_grant(call.param("access_token")?);
                &grant.ok()?.openid
            }
        };
        let (endpoint, fault) = self.find_person(openid)?.fault.as_ref()?;
        (*endpoint == call.endpoint).then(|| fault.clone())
    }

    fn apply_fault(&mut self, fault: Fault, call: &Call) -> Delivery {
        let response = match fault {
            Fault::Silence => return Delivery::Never,
            Fault::Latency(delay) => return Delivery::Delayed(delay, self.process(call)),
            Fault::Code(code) => self.refuse(call, Refused::new(code)),
            Fault::CutBody => self.process_with_length(call).map(MockBody::cut),
            Fault::Drip(interval) => self
                .process_with_length(call)
                .map(|body| body.drip(interval)),
            Fault::Status(status) => build_bare_response(status),
            Fault::Raw {
                status,
                headers,
                body,
            } => build_response(status, headers, body),
        };
        Delivery::Immediate(response)
    }

    /// Answers a call without faults.
    fn process(&mut self, call: &Call) -> Response<MockBody> {
        let result = match call.endpoint {
            Endpoint::Authorize => return self.authorize(call),
            Endpoint::Token => self.answer_token(call),
            Endpoint::Me => self.answer_me(call),
            Endpoint::UserInfo => self.answer_user_info(call),
            Endpoint::Api => match self.check_api(call) {
                Ok(_) => {
                    let body = self.find_api_body(&call.path).cloned();
                    return self.respond(body.unwrap_or_default()).map(MockBody::from);
                }
                Err(refused) => Err(refused),
            },
        };
        match result {
            Ok(fields) => {
                let shape = self.select_shape(call, false);
                self.write(shape, &fields)
            }
            Err(refused) => self.refuse(call, refused),
        }
    }

    /// Answers a call with a `Content-Length`, so that a client notices a cut body.
    fn process_with_length(&mut self, call: &Call) -> Response<MockBody> {
        let mut response = self.process(call);
        if let Some(length) = response.body().size_hint().exact() {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }

    fn refuse(&self, call: &Call, refused: Refused) -> Response<MockBody> {
        let shape = self.select_shape(call, true);
        let (code, text) = match (call.endpoint, shape) {
            (Endpoint::Authorize, _) => return redirect_to_error_page(call, refused),
            (Endpoint::UserInfo | Endpoint::Api, _) => ("ret", "msg"),
            (_, Shape::Form) => ("code", "msg"),
            _ => ("error", "error_description"),
        };
        let fields = vec![
            (code, FieldValue::Number(refused.code().into())),
            (text, FieldValue::text(refused.text())),
        ];
        self.write(shape, &fields)
    }

    fn write(&self, shape: Shape, fields: &FieldList) -> Response<MockBody> {
        let body = self.settings.style.write(shape, fields);
        self.respond(body.into()).map(MockBody::from)
    }

    fn select_shape(&self, call: &Call, is_error: bool) -> Shape {
        match self.settings.shapes.get(&call.endpoint) {
            None | Some(Shape::AsAsked) => {}
            Some(shape) => return *shape,
        }
        match call.endpoint {
            Endpoint::UserInfo if !is_error => Shape::JsonPretty,
            Endpoint::UserInfo | Endpoint::Api => Shape::Json,
            _ if call.param("fmt") == Some("json") => Shape::Json,
            Endpoint::Token if !is_error => Shape::Form,
            _ => Shape::Jsonp,
        }
    }
}

/// Builds a response from a status alone; errors get an HTML page like that of a gateway.
fn build_bare_response(status: StatusCode) -> Response<MockBody> {
    let page = if status.is_client_error() || status.is_server_error() {
        format!("<html><head><title>{status}</title></head><body>{status}</body></html>")
    } else {
        String::new()
    };
    build_response(status, HeaderMap::new(), page.into())
}

fn build_response(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<MockBody> {
    let mut response = Response::new(MockBody::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
