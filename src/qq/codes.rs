//! QQ's error codes.
//!
//! Sources: <https://wiki.connect.qq.com/公共返回码说明> and replies seen in production.

use self::Meaning::{
    Busy, Misconfigured, NotApproved, NotGranted, Other, Rejected, UnionIdNotGranted,
};
use crate::error::kind::LoginErrorKind;
use crate::language::Language;

/// An error code of QQ: its meaning, the party that can fix it, and advice.
///
/// [`LoginError::qq_code`](crate::LoginError::qq_code) returns the code of a failed login.
///
/// ```
/// use tower_qq_auth::{Language, LoginErrorKind, codes::{QqCode, Responsible}};
///
/// let code = QqCode::find(100010).expect("a known code");
/// assert_eq!(code.code(), 100010);
/// assert_eq!(code.kind(), LoginErrorKind::Misconfigured);
/// assert_eq!(code.responsible(), Responsible::Operator);
/// assert_eq!(code.what(Language::English), "redirect_uri is illegal");
/// assert_eq!(code.what(Language::Chinese), "redirect_uri 不合法");
/// assert!(code.advice(Language::English).starts_with("check app id"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QqCode {
    code: i64,
    meaning: Meaning,
    english: &'static str,
    chinese: &'static str,
}

/// The party that can fix an error.
///
/// ```
/// use tower_qq_auth::codes::{QqCode, Responsible};
///
/// let responsible = |code| QqCode::find(code).map(QqCode::responsible);
/// assert_eq!(responsible(100030), Some(Responsible::User)); // did not grant this api
/// assert_eq!(responsible(100009), Some(Responsible::Operator)); // set a wrong app key
/// assert_eq!(responsible(100032), Some(Responsible::Qq)); // is overloaded
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Responsible {
    /// The user took too long, came twice or did not grant a permission: a new login helps.
    User,
    /// The operator has to change the app or its registration.
    Operator,
    /// QQ itself, as far as the code tells.
    Qq,
}

impl QqCode {
    /// Returns all known codes, sorted by number.
    ///
    /// ```
    /// use tower_qq_auth::codes::QqCode;
    ///
    /// assert!(QqCode::all().iter().any(|code| code.code() == 100020));
    /// ```
    pub fn all() -> &'static [Self] {
        TABLE
    }

    /// Finds the code with this number, if it is known.
    ///
    /// ```
    /// use tower_qq_auth::codes::QqCode;
    ///
    /// assert_eq!(QqCode::find(-23).map(QqCode::code), Some(-23));
    /// assert_eq!(QqCode::find(0), None); // success
    /// ```
    pub fn find(code: i64) -> Option<&'static Self> {
        let index = TABLE.binary_search_by_key(&code, Self::code);
        index.ok().map(|index| &TABLE[index])
    }

    /// Returns the number, which QQ sends as `error`, or as `ret` of an API.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// Returns the kind of [`LoginError`](crate::LoginError) that this code causes.
    pub fn kind(&self) -> LoginErrorKind {
        self.meaning.kind()
    }

    /// Returns the party that can fix the error.
    pub fn responsible(&self) -> Responsible {
        match self.meaning {
            Rejected | NotGranted => Responsible::User,
            Misconfigured | UnionIdNotGranted | NotApproved => Responsible::Operator,
            Busy | Other => Responsible::Qq,
        }
    }

    /// Returns the meaning of the code, such as `the code has expired`.
    pub fn what(&self, language: Language) -> &'static str {
        match language {
            Language::Chinese => self.chinese,
            Language::English => self.english,
        }
    }

    /// Returns advice, such as `QQ is busy, try again later`.
    pub fn advice(&self, language: Language) -> &'static str {
        self.meaning.advice(language)
    }
}

/// The meaning of a code for a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The operator must act; another login does not help.
    Misconfigured,
    /// Only the QQ number that registered the app can sign in.
    NotApproved,
    /// QQ no longer accepts the code or token: sign in again.
    Rejected,
    /// The user did not grant this API.
    NotGranted,
    /// The app has no right to the UnionID.
    UnionIdNotGranted,
    /// Try later.
    Busy,
    /// A code of no other group, or an unknown one.
    Other,
}

impl Meaning {
    pub(super) fn kind(self) -> LoginErrorKind {
        match self {
            Misconfigured | UnionIdNotGranted => LoginErrorKind::Misconfigured,
            NotApproved => LoginErrorKind::NotApproved,
            Rejected | NotGranted => LoginErrorKind::CodeRejected,
            Busy => LoginErrorKind::QqBusy,
            Other => LoginErrorKind::QqUnavailable,
        }
    }

    #[rustfmt::skip] // one text per line
    pub(super) fn advice(self, language: Language) -> &'static str {
        match (self, language) {
            (Misconfigured, Language::English) => "check app id, app key, callback and permissions at connect.qq.com",
            (Misconfigured, Language::Chinese) => "请到 connect.qq.com 核对 APP ID、APP Key、回调地址和接口权限",
            (NotApproved, Language::English) => "until QQ approves the app, only its registrant can sign in",
            (NotApproved, Language::Chinese) => "应用通过审核前，只有申请者本人的 QQ 号可以登录",
            (Rejected, Language::English) => "QQ no longer accepts this code or token, sign in again",
            (Rejected, Language::Chinese) => "code 或 token 已失效，请重新登录",
            (NotGranted, Language::English) => "sign in again and grant this api",
            (NotGranted, Language::Chinese) => "请重新登录并同意授权此接口",
            (UnionIdNotGranted, Language::English) => "apply for the UnionID at connect.qq.com, or do not request it",
            (UnionIdNotGranted, Language::Chinese) => "请到 connect.qq.com 申请 UnionID 权限，或不请求 UnionID",
            (Busy, Language::English) => "QQ is busy, try again later",
            (Busy, Language::Chinese) => "QQ 正忙，请稍后再试",
            (Other, Language::English) => "QQ reported an internal error, try again later",
            (Other, Language::Chinese) => "QQ 内部出错，请稍后再试",
        }
    }
}

pub(super) fn meaning(code: i64) -> Meaning {
    QqCode::find(code).map_or(Other, |row| row.meaning)
}

/// Sorted by number.
#[rustfmt::skip] // one code per line
const TABLE: &[QqCode] = &[
    row(-60, Busy, "a temporary internal error", "QQ 内部临时故障"),
    row(-58, Busy, "a temporary internal error", "QQ 内部临时故障"),
    row(-24, Rejected, "the check of openid and token failed", "openid 或 token 校验失败"),
    row(-23, Rejected, "the token is invalid", "token 无效"),
    row(-22, Rejected, "the openid is invalid", "openid 无效"),
    row(-21, Rejected, "the access token was revoked", "access token 已撤销"),
    row(-20, NotGranted, "the user did not grant this api", "用户未授权此接口"),
    row(-9, Misconfigured, "the api does not exist", "接口不存在"),
    row(-8, Busy, "the request is restricted", "请求受限"),
    row(-6, Busy, "too many calls", "调用过于频繁"),
    row(-5, Misconfigured, "the signature is wrong", "签名错误"),
    row(-4, Misconfigured, "the server's ip address is not allowed", "服务器 IP 不在允许范围内"),
    row(-3, Misconfigured, "the app has no right to this api", "应用没有此接口的权限"),
    row(-2, Misconfigured, "the app does not exist", "应用不存在"),
    row(-1, Other, "a parameter is invalid, such as the openid", "请求参数无效，例如 openid 无效"),
    row(1001, Busy, "QQ's service is busy", "QQ 服务繁忙"),
    row(1002, Rejected, "the user is not logged in", "用户未登录"),
    row(100000, Misconfigured, "response_type is missing or illegal", "缺少 response_type，或其值不合法"),
    row(100001, Misconfigured, "client_id is missing", "缺少 client_id"),
    row(100002, Misconfigured, "client_secret is missing", "缺少 client_secret"),
    row(100003, Misconfigured, "the Authorization header is missing", "请求头缺少 Authorization"),
    row(100004, Misconfigured, "grant_type is missing or illegal", "缺少 grant_type，或其值不合法"),
    row(100005, Rejected, "the code is missing", "缺少 code"),
    row(100006, Rejected, "the refresh token is missing", "缺少 refresh token"),
    row(100007, Rejected, "the access token is missing", "缺少 access token"),
    row(100008, Misconfigured, "the app does not exist", "应用不存在"),
    row(100009, Misconfigured, "client_secret is illegal", "client_secret 不合法"),
    row(100010, Misconfigured, "redirect_uri is illegal", "redirect_uri 不合法"),
    row(100011, NotApproved, "the app is not online", "应用未上线"),
    row(100012, Misconfigured, "the request is not a POST", "请求方法不是 POST"),
    row(100013, Rejected, "the access token is invalid", "access token 无效"),
    row(100014, Rejected, "the access token has expired", "access token 已过期"),
    row(100015, Rejected, "the access token was revoked", "access token 已撤销"),
    row(100016, Rejected, "the check of the access token failed", "access token 校验失败"),
    row(100017, Misconfigured, "QQ could not get the app id", "获取 APP ID 失败"),
    row(100018, Rejected, "QQ could not get the code", "获取 code 失败"),
    row(100019, Rejected, "the code could not be exchanged for a token", "用 code 换取 access token 失败"),
    row(100020, Rejected, "the code was used before", "code 被重复使用"),
    row(100021, Rejected, "QQ could not get the access token", "获取 access token 失败"),
    row(100022, Rejected, "QQ could not get the refresh token", "获取 refresh token 失败"),
    row(100023, Other, "QQ could not get the app's permissions", "获取应用的权限列表失败"),
    row(100024, Other, "QQ could not get the user's permissions", "获取用户的授权列表失败"),
    row(100025, Other, "QQ could not get its apis and groups", "获取接口及分组信息失败"),
    row(100026, Other, "QQ could not set what the user granted", "设置用户已授权的接口列表失败"),
    row(100027, Other, "QQ could not set when the user granted it", "设置用户授权时间失败"),
    row(100028, Other, "the parameter 'which' is missing", "缺少参数 which"),
    row(100029, Misconfigured, "the request is wrong", "请求有误"),
    row(100030, NotGranted, "the user did not grant this api", "用户未授权此接口"),
    row(100031, Misconfigured, "the app has no right to this api", "应用没有此接口的权限"),
    row(100032, Busy, "QQ is overloaded", "QQ 系统过载"),
    row(100033, Other, "the UIN is missing", "缺少 UIN"),
    row(100034, Other, "the skey is missing", "缺少 skey"),
    row(100035, Rejected, "the user is not logged in", "用户未登录"),
    row(100036, Rejected, "the refresh token is invalid", "refresh token 无效"),
    row(100037, Rejected, "the refresh token has expired", "refresh token 已过期"),
    row(100038, Rejected, "the refresh token was revoked", "refresh token 已撤销"),
    row(100039, Rejected, "the limit of calls is reached", "调用次数已达上限"),
    row(100040, Misconfigured, "the app key is illegal", "APP Key 不合法"),
    row(100041, Misconfigured, "the app id is illegal", "APP ID 不合法"),
    row(100042, Rejected, "the refresh token is illegal", "refresh token 不合法"),
    row(100043, Misconfigured, "the app is suspended", "应用已停用"),
    row(100044, Misconfigured, "the signature is wrong", "签名错误"),
    row(100045, Rejected, "the user changed the password", "用户已修改密码"),
    row(100046, Other, "the check of g_tk failed, or there were too many authorizations", "g_tk 校验失败，或授权过于频繁"),
    undocumented(100047),
    row(100048, UnionIdNotGranted, "the app has no right to the UnionID", "应用没有 UnionID 权限"),
    row(100049, UnionIdNotGranted, "the app has no right to get_unionid", "应用没有 get_unionid 接口的权限"),
    row(100050, Other, "the openid does not belong to this app", "openid 与应用不匹配"),
    row(100051, NotApproved, "the app is in debug mode", "应用处于调试模式"),
    undocumented(100052),
    undocumented(100053),
    undocumented(100054),
    undocumented(100055),
    undocumented(100056),
    undocumented(100057),
    undocumented(100058),
    undocumented(100059),
    undocumented(100060),
    undocumented(100061),
    row(100062, Busy, "too many requests", "请求过于频繁"),
    undocumented(100063),
    undocumented(100064),
    undocumented(100065),
    undocumented(100066),
    row(100067, Rejected, "the code has expired", "code 已过期"),
    row(100068, Rejected, "the code is illegal", "code 不合法"),
    row(110401, Misconfigured, "the app does not exist", "应用不存在"),
    row(110404, Misconfigured, "the app id is missing", "缺少 APP ID"),
    row(110405, Busy, "logins are restricted", "登录受限"),
    row(110406, NotApproved, "the app is not approved", "应用未通过审核"),
    row(110407, Misconfigured, "the app was taken down", "应用已下架"),
    row(110500, Other, "QQ could not get what the user granted", "获取用户授权信息失败"),
    row(110501, Other, "QQ could not get the app's permissions", "获取应用的授权信息失败"),
    row(110502, Other, "QQ could not set what the user granted", "设置用户授权失败"),
    row(110503, Other, "QQ could not get the token", "获取 token 失败"),
    row(110504, Busy, "an internal error", "QQ 内部错误"),
    row(110505, Other, "a parameter is wrong", "参数错误"),
    row(110506, Other, "QQ could not get the app's information", "获取应用信息失败"),
    row(110507, Other, "the check of the app's signature failed", "校验应用签名信息失败"),
    row(110508, Other, "QQ could not get the code", "获取 code 失败"),
    row(110509, Other, "the check of the skey failed", "skey 校验失败"),
    row(110510, Other, "the login is disabled", "登录已停用"),
];

#[rustfmt::skip] // short enough for a line
const fn row(code: i64, meaning: Meaning, english: &'static str, chinese: &'static str) -> QqCode {
    QqCode { code, meaning, english, chinese }
}

/// A number in the range of QQ's codes to which its documentation gives no meaning.
const fn undocumented(code: i64) -> QqCode {
    row(
        code,
        Other,
        "QQ does not document this code",
        "QQ 未公开此返回码的含义",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_holds_the_groups_of_the_protocol() {
        assert!(TABLE.is_sorted_by(|one, next| one.code < next.code));
        for code in -1_000..=120_000 {
            let row = QqCode::find(code).map(|row| row.meaning);
            assert_eq!(row, group(code), "{code}");
        }
    }

    fn group(code: i64) -> Option<Meaning> {
        Some(match code {
            100000..=100004 | 100008..=100010 | 100012 | 100017 | 100029 | 100031 => Misconfigured,
            100040 | 100041 | 100043 | 100044 | 110401 | 110404 | 110407 => Misconfigured,
            -5..=-2 | -9 => Misconfigured,
            100011 | 100051 | 110406 => NotApproved,
            100005 | 100018..=100020 | 100067 | 100068 => Rejected,
            100006 | 100007 | 100013..=100016 | 100021 | 100022 => Rejected,
            100035..=100039 | 100042 | 100045 | 1002 | -24..=-21 => Rejected,
            100030 | -20 => NotGranted,
            100048 | 100049 => UnionIdNotGranted,
            100032 | 100062 | 110405 | 110504 | 1001 | -6 | -8 | -58 | -60 => Busy,
            -1 | 100023..=100028 | 100033 | 100034 | 100046 | 100050 => Other,
            100047 | 100052..=100061 | 100063..=100066 => Other,
            110500..=110503 | 110505..=110510 => Other,
            _ => return None,
        })
    }
}
