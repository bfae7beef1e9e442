//! The site itself, seen from outside: DNS, TLS, and the paths of the layer.

mod callback;
mod dns;
mod entrances;
mod login;
mod request;

use reqwest::Url;

use self::request::Visitor;
use crate::client::client_for;
use crate::language::say;
use crate::report::{Check, Report};

/// The site as the settings describe it.
pub(crate) struct Site {
    pub(crate) redirect_uri: Url,
    /// The URL to which its login should redirect.
    pub(crate) authorize_url: Url,
}

impl Site {
    fn url(&self, path: &str) -> Url {
        let mut url = self.redirect_uri.clone();
        url.set_path(path);
        url.set_query(None);
        url
    }

    /// Checks the site. Users open it at `address`, or else at the origin of the redirect URI.
    pub(crate) async fn check(&self, report: &mut Report, address: Option<&Url>) {
        let visitor = match client_for(&self.redirect_uri) {
            Ok(client) => Visitor::new(client),
            Err(cause) => {
                let advice = say("install ca-certificates", "请安装 ca-certificates");
                return report.error(Check::Site, cause, advice);
            }
        };
        let is_elsewhere = |url: &&Url| url.origin() != self.redirect_uri.origin();
        let elsewhere = address.filter(is_elsewhere);
        if !dns::check(report, &self.redirect_uri).await {
            return;
        }
        let prefix = address.map_or("", |url| url.path().trim_end_matches('/'));
        if callback::check(report, self, &visitor, prefix).await {
            login::check(report, self, &visitor).await;
        }
        entrances::check(report, self, &visitor, elsewhere).await;
    }
}

/// Parses an address such as `https://www.example.com` or `www.example.com`.
pub(crate) fn parse_address(text: &str) -> Option<Url> {
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("https://{text}")),
    };
    url.ok().filter(|url| {
        let is_web = matches!(url.scheme(), "http" | "https");
        let is_plain = url.query().is_none() && url.fragment().is_none();
        is_web && is_plain && url.has_host() && url.username().is_empty()
    })
}

/// Returns the URL without its query, which may contain a state.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}
