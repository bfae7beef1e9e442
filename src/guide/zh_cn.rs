//! 中文指南，每页回答一个问题。English: [`guide`](crate::guide).
//!
//! 1. [申请 APP ID](app_id)
//! 2. [接口、页面与挂载位置](web)
//! 3. [用户表与账号](accounts)
//! 4. [自行管理会话、axum-login 与绑定 QQ](own_sessions)
//! 5. [前后端分离与弹窗登录](front_ends)
//! 6. [手机 App](phone_apps)
//! 7. [会话、密钥与吊销](sessions)
//! 8. [测试与本地开发](testing)
//! 9. [部署上线](deploy)
//! 10. [故障排查](troubleshooting)
//! 11. [安全](security)
//! 12. [内部实现与方案对比](inside)

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
