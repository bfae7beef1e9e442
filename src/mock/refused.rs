//! A refusal by the mock: QQ's error codes and their texts.

use std::{error::Error, fmt};

/// A refusal by the mock, with QQ's error code.
///
/// ```
/// use tower_qq_auth::mock::MockQq;
///
/// let qq = MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
/// let url = "https://graph.qq.com/oauth2.0/authorize?response_type=code";
/// let refused = qq.approve(url).unwrap_err();
/// assert_eq!(refused.code(), 100001);
/// assert_eq!(refused.to_string(), "QQ error 100001: param client_id is wrong or lost");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    code: i32,
}

impl Refused {
    pub(super) fn new(code: i32) -> Self {
        Self { code }
    }

    /// Returns the code that `error` or `ret` has in a reply.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// Returns the text that QQ sends with the code, including trailing blanks.
    pub(super) fn text(&self) -> &'static str {
        match self.code {
            1002 => "请先登录",
            -1 => "client request's parameters are invalid, invalid openid",
            -22 => "openid is invalid",
            -23 => "token is invalid",
            100000 => "response_type is wrong or lost ",
            100001 => "param client_id is wrong or lost ",
            100002 => "param client_secret is wrong or lost ",
            100004 => "param grant_type is wrong or lost ",
            100005 => "param code is wrong or lost",
            100006 => "param refresh_token is wrong or lost ",
            100007 => "param access_token is wrong or lost ",
            100008 => "client_id is not exist",
            100009 => "client secret is illegal",
            100010 => "redirect uri is illegal",
            100011 => "app is not online",
            100013 => "access token is illegal",
            100014 => "access token is expired",
            100015 => "access token is revoked",
            100016 => "access token check failed",
            100019 => "code to access token error",
            100020 => "code is reused error",
            100021 => "get access token error",
            100029 => "request is illegal",
            100030 => "this api without user authorization",
            100032 => "system overload",
            100035 => "user is not login",
            100036 => "refresh token is illegal",
            100037 => "refresh token is expired",
            100038 => "refresh token is revoked",
            100048 => "companyid not set",
            100062 => "request too frequently",
            100067 => "code is expired",
            100068 => "code is illegal",
            110406 => "app is not approved",
            _ => "system error",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QQ error {}: {}", self.code, self.text().trim_end())
    }
}

impl Error for Refused {}
