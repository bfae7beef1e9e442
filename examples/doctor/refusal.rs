//! QQ's error numbers, with advice for the operator.

use tower_qq_auth::codes::QqCode;

use crate::language::{language, say};
use crate::report::{Check, Report};

pub(crate) fn report_refusal(
    report: &mut Report,
    check: Check,
    code: Option<i64>,
    redirect_uri: &str,
) {
    let Some(code) = code else {
        let finding = say("QQ refuses without a number", "QQ 拒绝了请求，没有返回码");
        let advice = say(
            format!(
                "compare QQ_APP_ID and the callback {redirect_uri} with connect.qq.com, or open the login page in a browser"
            ),
            format!(
                "请在 connect.qq.com 上核对 QQ_APP_ID 和回调地址 {redirect_uri}，或用浏览器打开登录页查看"
            ),
        );
        return report.error(check, finding, advice);
    };
    let known = QqCode::find(code);
    let meaning = known.map_or_else(
        || say("an unknown number", "未知的返回码"),
        |code| code.what(language()).into(),
    );
    let finding = say(
        format!("QQ reports {code}: {meaning}"),
        format!("QQ 返回 {code}：{meaning}"),
    );
    report.error(check, finding, advice(code, redirect_uri));
}

fn advice(code: i64, redirect_uri: &str) -> String {
    match code {
        100001 | 100008 | 100041 | 110401 | 110404 => say(
            "compare QQ_APP_ID with the APP ID at connect.qq.com",
            "请核对 QQ_APP_ID 与 connect.qq.com 上的 APP ID",
        ),
        100002 | 100009 | 100040 => say(
            "compare QQ_APP_KEY with the APP Key at connect.qq.com",
            "请核对 QQ_APP_KEY 与 connect.qq.com 上的 APP Key",
        ),
        100010 => say(
            format!(
                "register exactly {redirect_uri} as 网站回调域; QQ accepts no port, localhost or IP address, and no `/` at the end"
            ),
            format!(
                "请在「网站回调域」填写 {redirect_uri}，一字不差；QQ 不接受端口、localhost、IP，末尾也不能有 `/`"
            ),
        ),
        100011 | 100051 | 110406 => say(
            "submit the app for review (审核): until then only the QQ number that registered it can sign in",
            "请提交审核：审核通过前，只有申请者本人的 QQ 号可以登录",
        ),
        100046 => say(
            "QQ also reports this for too many requests: run the doctor again in some minutes",
            "请求过于频繁时 QQ 也会返回这个码：请过几分钟再运行一次",
        ),
        _ => QqCode::find(code).map_or_else(
            || say("try again later", "请稍后再试"),
            |code| code.advice(language()).into(),
        ),
    }
}
