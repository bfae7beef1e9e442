//! The signed-in user of every subject.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    pub openid: String,
    pub unionid: Option<String>,
    pub nickname: String,
    pub avatar: Option<String>,
    pub profile_complete: bool,
}

pub const OPENID: &str = "CC7F5CEFEFC0EBAB9B07EB481AEBC29C";
pub const NICKNAME: &str = "小明同学";
pub const AVATAR: &str =
    "https://thirdqq.qlogo.cn/ek_qqapp/AQDbPBW9pJ3l4fEBTRrkEqJzqfy8N3Z1qnBkUqGtZbnZ/100";

pub fn user() -> User {
    User {
        openid: OPENID.into(),
        unionid: None,
        nickname: NICKNAME.into(),
        avatar: Some(AVATAR.into()),
        profile_complete: true,
    }
}
