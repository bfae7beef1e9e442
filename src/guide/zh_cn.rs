//! 中文指南，每页回答一个问题。English: [`guide`](crate::guide).

#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/app-id.md")]
pub mod app_id {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/web.md")]
pub mod web {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/accounts.md")]
pub mod accounts {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/own-sessions.md")]
pub mod own_sessions {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/front-ends.md")]
pub mod front_ends {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/phone-apps.md")]
pub mod phone_apps {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/sessions.md")]
pub mod sessions {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/testing.md")]
pub mod testing {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/deploy.md")]
pub mod deploy {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/troubleshooting.md")]
pub mod troubleshooting {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/security.md")]
pub mod security {}
#[doc = include_str!("links.zh-CN.md")]
#[doc = include_str!("../../docs/zh-CN/inside.md")]
pub mod inside {}
