//! The texts of the layer's pages, in Chinese and English.
//!
//! The first sentence names the likely cause, the last one the remedy. The remedy fits both a new
//! login and the way back to a page, to either of which the button may lead.

use crate::error::kind::LoginErrorKind;
use crate::error::place::StateCause;
use crate::language::Language;

/// The subject of a page.
#[derive(Clone, Copy)]
pub(crate) enum Topic {
    Failure(LoginErrorKind),
    /// A state that is invalid for this reason.
    InvalidState(StateCause),
    /// An invalid state, from a browser that sent no cookie at all.
    NoCookies,
    /// A login with an intent that the layer refused.
    IntentRefused,
    /// A login whose user cannot be checked against the revocation list.
    LoginUnverified,
    /// A frame whose page needs a signed-in user.
    Frame,
    Logout,
    /// The popup of a login that succeeded.
    Popup,
    WrongMethod,
}

/// The title and the text of a page.
pub(crate) struct Message {
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
}

/// The short texts that several pages share.
pub(crate) struct Labels {
    /// The language tag.
    pub(crate) tag: &'static str,
    pub(crate) sign_in: &'static str,
    pub(crate) sign_in_again: &'static str,
    pub(crate) other_account: &'static str,
    pub(crate) sign_out: &'static str,
    pub(crate) retry: &'static str,
    pub(crate) go_on: &'static str,
    pub(crate) back: &'static str,
    pub(crate) home: &'static str,
    pub(crate) support_code: &'static str,
}

impl Message {
    pub(crate) fn new(topic: Topic, language: Language) -> Self {
        let (title, text) = match language {
            Language::Chinese => chinese(topic),
            Language::English => english(topic),
        };
        Self { title, text }
    }
}

/// Returns the text for a program that used a wrong method.
pub(crate) fn wrong_method(allow: &str, language: Language) -> String {
    match language {
        Language::Chinese => format!("这个网址只支持 {allow} 请求。"),
        Language::English => format!("This address answers {allow} only."),
    }
}

impl Labels {
    pub(crate) fn new(language: Language) -> &'static Self {
        match language {
            Language::Chinese => &CHINESE,
            Language::English => &ENGLISH,
        }
    }
}

static CHINESE: Labels = Labels {
    tag: "zh-CN",
    sign_in: "使用 QQ 登录",
    sign_in_again: "重新登录",
    other_account: "换一个 QQ 号登录",
    sign_out: "退出登录",
    retry: "重试",
    go_on: "继续",
    back: "返回",
    home: "返回首页",
    support_code: "错误编号：",
};

static ENGLISH: Labels = Labels {
    tag: "en",
    sign_in: "Sign in with QQ",
    sign_in_again: "Sign in again",
    other_account: "Use another QQ account",
    sign_out: "Sign out",
    retry: "Try again",
    go_on: "Continue",
    back: "Go back",
    home: "Back to the site",
    support_code: "Support code: ",
};

type Texts = (&'static str, &'static str);

#[rustfmt::skip] // one text per line
fn chinese(topic: Topic) -> Texts {
    use LoginErrorKind as Kind;
    use StateCause as Cause;
    match topic {
        Topic::NoCookies => ("登录未完成", "这次登录可能已经完成或过期，或是在其他浏览器、App 或本站的另一个网址中开始的，也可能是当前浏览器禁用了 Cookie。请在这里重新登录；如果还是不行，请允许本站使用 Cookie 后再试。"),
        Topic::Failure(Kind::InvalidState)
        | Topic::InvalidState(Cause::NoCookie | Cause::OtherHost) => ("登录已失效", "这次登录可能已经完成或过期，也可能是在其他浏览器、App 或本站的另一个网址中开始的。请重新登录；如果总是看到这个提示，请检查浏览器是否允许本站使用 Cookie。"),
        Topic::InvalidState(Cause::NoState) => ("没有正在进行的登录", "这个网址可能是从收藏夹或链接直接打开的，它只在从 QQ 跳转回来时有效。请重新登录。"),
        Topic::InvalidState(Cause::Expired) => ("登录已过期", "这次登录超过 10 分钟没有完成，已经过期。请重新登录。"),
        Topic::InvalidState(Cause::Used) => ("登录链接已使用", "可能是刷新、后退或重复打开了页面。从 QQ 跳转回来的网址只能用一次，请重试。"),
        Topic::InvalidState(Cause::UnknownKey) => ("登录已失效", "可能是本站刚刚更新过，这次登录的信息已无法读取。请重新登录。"),
        Topic::InvalidState(Cause::Forged) => ("登录未完成", "网址中的登录信息不完整或不一致，可能是复制时漏掉了一部分。请重新登录。"),
        Topic::Failure(Kind::InvalidCallback) => ("登录未完成", "网址中缺少登录所需的信息，可能是在跳转途中丢失了。请重试。"),
        Topic::Failure(Kind::Cancelled) => ("已取消登录", "可能是在 QQ 页面上点了取消，也可能是授权中断了。可以再试一次，也可以返回首页继续浏览。"),
        Topic::Failure(Kind::CodeRejected) => ("授权已失效", "可能是页面停留太久或重复打开，这次 QQ 授权已经过期或用过了。请重试。"),
        Topic::Failure(Kind::Refused) => ("无法登录", "这个 QQ 号不能登录本站。如有疑问，请联系网站管理员。"),
        Topic::IntentRefused => ("操作未完成", "此操作只能从本站的页面发起，中途也不能退出登录或切换账号。为了账号安全，没有做任何更改。请返回后重试。"),
        Topic::Failure(Kind::AppFailed) => ("登录未完成", "本站处理登录时出了点问题，与你的操作和 QQ 都无关。请稍后重试；如果还是不行，请把下面的错误编号告诉网站管理员。"),
        Topic::Failure(Kind::Misconfigured) => ("暂时无法登录", "本站的 QQ 登录没有设置好，需要网站管理员处理。请把下面的错误编号告诉管理员。"),
        Topic::Failure(Kind::NotApproved) => ("登录尚未开放", "本站的 QQ 登录还没有通过审核，目前只有申请者本人的 QQ 号可以登录。请等开放后再来。"),
        Topic::Failure(Kind::AudienceMismatch) => ("登录未完成", "收到的身份信息与这次登录不一致。为了账号安全，没有登录。请重试；如果还是不行，请把下面的错误编号告诉网站管理员。"),
        Topic::Failure(Kind::QqUnavailable) => ("暂时无法连接 QQ", "可能是网络不稳定，本站没有收到 QQ 的正常响应。请稍后重试。"),
        Topic::Failure(Kind::QqBusy) => ("QQ 正忙", "QQ 当前请求过多，请稍后重试。"),
        Topic::Failure(Kind::Overloaded) => ("登录请求较多", "现在的登录请求比较多，本站暂时处理不过来。请等几秒再刷新页面，就能继续登录。"),
        Topic::Failure(Kind::QqTimeout) => ("等待 QQ 响应超时", "可能是网络较慢，本站没有及时收到 QQ 的响应。请重试。"),
        Topic::Failure(Kind::LoginRequired) => ("请先登录", "登录后才能继续。如果刚才提交了内容，登录后请重新提交。"),
        Topic::Failure(Kind::NotANavigation) => ("没有开始登录", "这是登录入口，只能作为网页打开，不能当作图片、脚本等内容加载。"),
        Topic::Failure(Kind::Prefetch) => ("页面尚未打开", "浏览器提前加载了这个页面。点击按钮即可打开。"),
        Topic::Failure(Kind::CrossSite) => ("请求未执行", "登录或退出的请求可能来自其他网站。为了账号安全，本站没有执行。如果是你本人的操作，请返回本站重试。"),
        Topic::LoginUnverified => ("登录未完成", "本站的登录服务暂时出了点问题，这次登录没有完成。请稍后重新登录。"),
        Topic::Failure(Kind::SessionUnverified) => ("暂时无法确认登录状态", "本站的登录服务暂时出了点问题，你并没有退出登录。请稍后重试。"),
        Topic::Frame => ("请先登录", "登录后才能查看这部分内容。登录页会在整个窗口中打开。"),
        Topic::Logout => ("退出登录", "确定要退出本站的登录吗？"),
        Topic::Popup => ("QQ 登录已完成", "可以关闭这个窗口，回到原来的页面。如果那个页面没有变化，请点击按钮继续。"),
        Topic::WrongMethod => ("无法打开这个页面", "这个网址不能这样访问，可能是网站上的按钮或表单有误。请返回首页重新操作。"),
    }
}

#[rustfmt::skip] // one text per line
fn english(topic: Topic) -> Texts {
    use LoginErrorKind as Kind;
    use StateCause as Cause;
    match topic {
        Topic::NoCookies => ("Login not finished", "This login is probably finished or has expired, or was started in another browser or app, or at another address of this site, or your browser blocks cookies. Please sign in again here. If that fails too, allow cookies for this site."),
        Topic::Failure(Kind::InvalidState)
        | Topic::InvalidState(Cause::NoCookie | Cause::OtherHost) => ("This login is no longer valid", "It is probably finished or has expired, or was started in another browser or app, or at another address of this site. Please sign in again. If this keeps happening, check that your browser accepts cookies."),
        Topic::InvalidState(Cause::NoState) => ("No login under way", "This address works only on the way back from QQ, not from a bookmark or a link. Please sign in again."),
        Topic::InvalidState(Cause::Expired) => ("This login has expired", "It was not finished within 10 minutes. Please try again."),
        Topic::InvalidState(Cause::Used) => ("This link was already used", "The way back from QQ works only once, so reloading the page, going back or opening it again leads here. Please try again."),
        Topic::InvalidState(Cause::UnknownKey) => ("This login is no longer valid", "Its details can no longer be read, perhaps because this site has just been updated. Please sign in again."),
        Topic::InvalidState(Cause::Forged) => ("Login not finished", "The login details in this address are incomplete or do not match; part of it may have been lost in copying. Please sign in again."),
        Topic::Failure(Kind::InvalidCallback) => ("Login not finished", "This address lacks some details of the login, which may have been lost on the way. Please try again."),
        Topic::Failure(Kind::Cancelled) => ("Login cancelled", "You probably cancelled the login at QQ, or it was interrupted there. You can try again, or go back to the site."),
        Topic::Failure(Kind::CodeRejected) => ("Authorization no longer valid", "It has expired or was used before, perhaps because a page was open for a long time or was loaded twice. Please try again."),
        Topic::Failure(Kind::Refused) => ("Sign-in refused", "This site does not let this QQ account sign in."),
        Topic::IntentRefused => ("Not finished", "This starts only from a page of this site, and only for the account that stays signed in until the end. To protect your account, nothing was changed. Please go back and try again."),
        Topic::Failure(Kind::AppFailed) => ("Login not finished", "Something went wrong on this site. You did nothing wrong, and QQ works. Please try again later. If it fails again, give the operator of this site the code below."),
        Topic::Failure(Kind::Misconfigured) => ("Login is unavailable", "QQ login is not set up correctly on this site, which only its operator can change. Please give them the code below."),
        Topic::Failure(Kind::NotApproved) => ("Login is not open yet", "QQ has not approved this site yet. Until then only the QQ account that registered it can sign in."),
        Topic::Failure(Kind::AudienceMismatch) => ("Login not finished", "The identity that came back does not match this login. To protect your account, you were not signed in. Please try again. If it fails again, give the operator of this site the code below."),
        Topic::Failure(Kind::QqUnavailable) => ("No connection to QQ", "This site got no proper reply from QQ; the network may be unstable. Please try again later."),
        Topic::Failure(Kind::QqBusy) => ("QQ is busy", "QQ is handling too many requests. Please try again later."),
        Topic::Failure(Kind::Overloaded) => ("Too many logins", "There are too many login requests at once. Please wait a few seconds and reload this page to finish your login."),
        Topic::Failure(Kind::QqTimeout) => ("No reply from QQ in time", "This site waited too long for QQ; the network may be slow. Please try again."),
        Topic::Failure(Kind::LoginRequired) => ("Please sign in", "You need to sign in to do this. If you have just submitted something, please submit it again afterwards."),
        Topic::Failure(Kind::NotANavigation) => ("No login started", "This is the way to the login. It opens only as a page, not as an image, a script or another part of a page."),
        Topic::Failure(Kind::Prefetch) => ("Not opened yet", "The browser loaded this page ahead of time. Press the button to open it."),
        Topic::Failure(Kind::CrossSite) => ("Request ignored", "The request to sign in or out seems to come from another site. To protect your account, nothing was changed. If it was you, please go back to this site and try again."),
        Topic::LoginUnverified => ("Login not finished", "The login service of this site has a problem right now. Please sign in again later."),
        Topic::Failure(Kind::SessionUnverified) => ("Your login cannot be checked", "The login service of this site has a problem right now. You are not signed out. Please try again later."),
        Topic::Frame => ("Please sign in", "You need to sign in to see this. The login opens in the whole window."),
        Topic::Logout => ("Sign out", "Press the button to sign out of this site."),
        Topic::Popup => ("QQ login is done", "You can close this window. If the page that opened it has not changed, press the button to go on."),
        Topic::WrongMethod => ("This page cannot be opened", "This address does not work this way; a button or form of the site may be wrong. Please go back to the site."),
    }
}
