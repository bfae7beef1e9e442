//! The clock of this machine, beside the date of QQ's response.

use std::time::SystemTime;

use http::{HeaderMap, header};

use crate::language::say;
use crate::report::{Check, Report};

pub(crate) fn check(report: &mut Report, headers: &HeaderMap) {
    let date = headers.get(header::DATE);
    let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let Some(date) = date else {
        let finding = say("QQ's response has no date", "QQ 的响应中没有时间");
        let advice = say("see `timedatectl`", "请用 `timedatectl` 检查本机时钟");
        return report.warning(Check::Clock, finding, advice);
    };
    let now = SystemTime::now();
    let offset = now.duration_since(date).or(date.duration_since(now));
    let seconds = offset.unwrap_or_default().as_secs();
    let finding = say(
        format!("{seconds} s off, by the date of QQ's response"),
        format!("本机时钟与 QQ 相差 {seconds} 秒"),
    );
    let advice = say(
        "set it by NTP: certificates and sessions shared with other machines depend on it",
        "请用 NTP 校时：校验证书、多台服务器互认会话都依赖时钟",
    );
    match seconds {
        0..=10 => report.ok(Check::Clock, finding),
        11..=60 => report.warning(Check::Clock, finding, advice),
        _ => report.error(Check::Clock, finding, advice),
    }
}
