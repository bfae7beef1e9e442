//! The numbers by which QQ explains a refusal.
//!
//! Source: <https://wiki.connect.qq.com/公共返回码说明> and replies seen in the wild.

use crate::LoginErrorKind::{
    self, CodeRejected, Misconfigured, NotApproved, QqBusy, QqUnavailable,
};

/// What a number means for a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The operator must act; trying again does not help.
    Misconfigured,
    /// Only the QQ number that registered the app can sign in.
    NotApproved,
    /// The code or token is not good (any more): sign in again.
    Rejected,
    /// The person did not grant this API.
    NotGranted,
    /// The app may not ask for the UnionID.
    UnionIdNotGranted,
    /// Try later.
    Busy,
    /// A number of no group, or none that is known.
    Other,
}

impl Meaning {
    pub(super) fn kind(self) -> LoginErrorKind {
        match self {
            Self::Misconfigured | Self::UnionIdNotGranted => Misconfigured,
            Self::NotApproved => NotApproved,
            Self::Rejected | Self::NotGranted => CodeRejected,
            Self::Busy => QqBusy,
            Self::Other => QqUnavailable,
        }
    }

    /// What to tell the operator.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Misconfigured => {
                "check app id, app key, callback and permissions at connect.qq.com"
            }
            Self::UnionIdNotGranted => {
                "apply for the UnionID at connect.qq.com, or do not ask for it"
            }
            Self::NotApproved => "until QQ approves the app, only its registrant can sign in",
            Self::Rejected => "qq does not accept this code or token (any more), sign in again",
            Self::NotGranted => "the person did not grant this api",
            Self::Busy => "qq is busy, try again later",
            Self::Other => "qq reported an error of its own",
        }
    }
}

pub(super) fn meaning(code: i64) -> Meaning {
    match code {
        100000..=100004 | 100008..=100010 | 100012 | 100017 | 100029 | 100031 => {
            Meaning::Misconfigured
        }
        100040 | 100041 | 100043 | 100044 | 110401 | 110404 | 110407 => Meaning::Misconfigured,
        -5..=-2 | -9 => Meaning::Misconfigured,
        100011 | 100051 | 110406 => Meaning::NotApproved,
        100005 | 100018..=100020 | 100067 | 100068 => Meaning::Rejected,
        100006 | 100007 | 100013..=100016 | 100021 | 100022 => Meaning::Rejected,
        100035..=100039 | 100042 | 100045 | 1002 | -24..=-21 => Meaning::Rejected,
        100030 | -20 => Meaning::NotGranted,
        100048 | 100049 => Meaning::UnionIdNotGranted,
        100032 | 100062 | 110405 | 110504 | 1001 | -6 | -8 | -58 | -60 => Meaning::Busy,
        _ => Meaning::Other,
    }
}
