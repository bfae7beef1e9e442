//! The guide: one question a page. 中文：[`zh_cn`].
//!
//! 1. [Getting an app id](app_id)
//! 2. [What the web sees](web)
//! 3. [Users table and accounts](accounts)
//! 4. [Your own sessions, axum-login, linking](own_sessions)
//! 5. [Front ends](front_ends)
//! 6. [Phone apps](phone_apps)
//! 7. [Sessions, keys and revocation](sessions)
//! 8. [Tests, and developing without QQ](testing)
//! 9. [Deployment](deploy)
//! 10. [Troubleshooting](troubleshooting)
//! 11. [Security](security)
//! 12. [How it works inside, and how it compares](inside)

// The pages are those of `docs/en`. `.ci/links` writes the files of links, by which they link to
// each other and to the items of the crate in this place as well.

pub mod zh_cn;

#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/app-id.md")]
pub mod app_id {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/web.md")]
pub mod web {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/accounts.md")]
pub mod accounts {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/own-sessions.md")]
pub mod own_sessions {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/front-ends.md")]
pub mod front_ends {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/phone-apps.md")]
pub mod phone_apps {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/sessions.md")]
pub mod sessions {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/testing.md")]
pub mod testing {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/deploy.md")]
pub mod deploy {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/troubleshooting.md")]
pub mod troubleshooting {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/security.md")]
pub mod security {}
#[doc = include_str!("guide/links.en.md")]
#[doc = include_str!("../docs/en/inside.md")]
pub mod inside {}
