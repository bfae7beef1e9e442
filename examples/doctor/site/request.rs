//! Requests to the site, like those of a browser or a program without cookies.

use reqwest::{Client, Url, header};

use crate::client::ANSWER_LIMIT;

/// Sends requests to the site.
pub(super) struct Visitor {
    client: Client,
}

/// The part of an answer that tells whether the layer sent it.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The target of a redirect.
    pub(super) location: Option<Url>,
    pub(super) sets_cookie: bool,
    /// The code of the layer's error, such as `invalid_state`.
    pub(super) code: Option<String>,
}

impl Visitor {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Navigates to a page, as a browser does for a typed address.
    pub(super) async fn open(&self, url: &Url) -> Result<Answer, reqwest::Error> {
        let request = self
            .client
            .get(url.clone())
            .header(header::ACCEPT, "text/html");
        let request = request
            .header("sec-fetch-site", "none")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-user", "?1");
        Answer::read(request.send().await?, url).await
    }

    /// Requests JSON, as a program does.
    pub(super) async fn call(&self, url: &Url) -> Result<Answer, reqwest::Error> {
        let request = self.client.get(url.clone());
        let request = request.header(header::ACCEPT, "application/json");
        Answer::read(request.send().await?, url).await
    }
}

impl Answer {
    async fn read(mut response: reqwest::Response, url: &Url) -> Result<Self, reqwest::Error> {
        const MAX_BODY: usize = 64 << 10;
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|location| url.join(location.to_str().ok()?).ok());
        let sets_cookie = response.headers().contains_key(header::SET_COOKIE);
        let mut body = Vec::new();
        let read = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                body.extend_from_slice(&chunk);
                if body.len() > MAX_BODY {
                    break;
                }
            }
        };
        // On timeout, the part of the body that has arrived decides.
        let _ = tokio::time::timeout(ANSWER_LIMIT, read).await;
        let json: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let code = json.and_then(|json| Some(json.get("code")?.as_str()?.to_owned()));
        Ok(Self {
            status: status.as_u16(),
            location: location.filter(|_| status.is_redirection()),
            sets_cookie,
            code,
        })
    }
}
