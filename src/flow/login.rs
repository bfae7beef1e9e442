//! The login path: off to QQ, with a state that only this browser can bring back.

use http::header;

use super::{
    Flow, Head,
    page::{OwnResponse, see_other},
    visitor::is_phone,
};
use crate::qq::Display;

impl Flow {
    pub(super) fn login(&self, head: Head<'_>) -> OwnResponse {
        let return_to = self.return_to(head.query());
        let (state, cookies) = self.pending.start(head.headers, &return_to, self.now());
        let mobile = match self.client.app().display {
            Display::Auto => is_phone(head.headers),
            Display::Desktop => false,
            Display::Mobile => true,
        };
        let mut response = see_other(&self.client.authorize_url(&state, mobile));
        for cookie in cookies {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}
