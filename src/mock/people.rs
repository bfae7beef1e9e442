//! The users of the mock.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::{
    fault::Fault,
    journal::Endpoint,
    wire::{FieldList, FieldValue, encode},
};

/// A user of the mock.
///
/// All fields can be changed, even to values that QQ would never send.
///
/// ```
/// use tower_qq_auth::mock::{MockQq, Person};
///
/// let qq = MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
/// let mut person = Person::new("00000000000000000000000000000001", "qzuser");
/// person.avatar_100 = String::new();
/// qq.add_person(person.clone());
/// assert_eq!(qq.people().last(), Some(&person));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Person {
    /// The id of the user at the mock's own app; 32 upper-case hex digits on the real QQ.
    pub openid: String,
    /// The id of the user at all apps of one developer; `UID_` and 32 hex digits on the real QQ.
    pub unionid: String,
    /// The nickname, not escaped.
    pub nickname: String,
    /// The avatar URL in `figureurl_qq_1`, `figureurl` and `figureurl_1`, 40 pixels.
    pub avatar_40: String,
    /// The avatar URL in `figureurl_qq_2` and `figureurl_2`, 100 pixels; may be empty.
    pub avatar_100: String,
    /// The avatar URL in `figureurl_qq`, 640 pixels; if empty, the profile omits the field.
    pub avatar_640: String,
    /// The fault of every call of this endpoint in a login of the user.
    pub(super) fault: Option<(Endpoint, Fault)>,
}

impl Person {
    /// Creates a user with a UnionID and avatars derived from the openid. The avatars do not exist.
    pub fn new(openid: impl Into<String>, nickname: impl Into<String>) -> Self {
        let openid = openid.into();
        // As long as the key of a real picture.
        let key = format!("AQ{0}{0}{0}", encode(&openid));
        let avatar = |size| format!("http://thirdqq.qlogo.cn/ek_qqapp/{key}/{size}");
        Self {
            unionid: format!("UID_{}", openid.chars().rev().collect::<String>()),
            nickname: nickname.into(),
            avatar_40: avatar(40),
            avatar_100: avatar(100),
            avatar_640: avatar(0),
            fault: None,
            openid,
        }
    }

    /// Returns the openid of the user at an app: a different one at each.
    pub(super) fn openid_at(&self, app_id: &str, own_app_id: &str) -> String {
        if app_id == own_app_id {
            return self.openid.clone();
        }
        let half = |half: u8| {
            let mut hasher = DefaultHasher::new();
            (half, app_id, &self.openid).hash(&mut hasher);
            hasher.finish()
        };
        format!("{:016X}{:016X}", half(0), half(1))
    }

    /// Returns the users of a new mock: a plain nickname, one with an emoji, one with markup, and
    /// a user for each fault that a site should be prepared for.
    pub(super) fn defaults() -> Vec<Self> {
        let failing = |openid: &str, nickname: &str, endpoint, fault| Self {
            fault: Some((endpoint, fault)),
            ..Self::new(openid, nickname)
        };
        let busy = Fault::Code(100032);
        let not_approved = Fault::Code(110406);
        let no_profile = Fault::Code(100030);
        let slow = Fault::Latency(Duration::from_secs(30));
        vec![
            Self::new("C3A5D19E07B24F68913BD0A4E7F2586C", "小明"),
            Self::new("5E8F20B7C94D13A6F07B6E2D81C3A94F", "企鹅🐧 Penguin"),
            Self::new("90B64EF7A1D2385C4E6F90A7B8D1C23E", "<b>小红</b> & \"Co\""),
            failing(
                "2B7D90E4F6A8135C0D9E4B7A61F3C852",
                "QQ 正忙 · Busy",
                Endpoint::Token,
                busy,
            ),
            failing(
                "74E1C3058BD2F96A3E5C8079D4A1B26F",
                "应用未通过审核 · Not approved",
                Endpoint::Token,
                not_approved,
            ),
            failing(
                "E90A5B6D17C4832F6B0D9E7F258A4C13",
                "没有资料 · No profile",
                Endpoint::UserInfo,
                no_profile,
            ),
            failing(
                "1F6C8A2E0B9D4537A8E6C1D03F7B5924",
                "QQ 很慢 · Slow",
                Endpoint::Token,
                slow,
            ),
        ]
    }

    /// Returns the profile in QQ's format of 2024: one picture in three sizes. Apart from nickname
    /// and avatars, its values are the placeholders that QQ has sent for every user since 2022.
    pub(super) fn profile(&self) -> FieldList {
        let (small, medium) = (&self.avatar_40, &self.avatar_100);
        let mut fields = vec![
            ("ret", FieldValue::Number(0)),
            ("msg", FieldValue::text("")),
            ("is_lost", FieldValue::Number(0)),
            ("nickname", FieldValue::text(&self.nickname)),
            ("gender", FieldValue::text("男")),
            ("gender_type", FieldValue::Number(2)),
            ("province", FieldValue::text("广东")),
            ("city", FieldValue::text("深圳")),
            ("year", FieldValue::text("1990")),
            ("figureurl", FieldValue::text(small)),
            ("figureurl_1", FieldValue::text(small)),
            ("figureurl_2", FieldValue::text(medium)),
            ("figureurl_qq_1", FieldValue::text(small)),
            ("figureurl_qq_2", FieldValue::text(medium)),
        ];
        if !self.avatar_640.is_empty() {
            fields.push(("figureurl_qq", FieldValue::text(&self.avatar_640)));
        }
        for name in [
            "is_yellow_vip",
            "vip",
            "yellow_vip_level",
            "level",
            "is_yellow_year_vip",
        ] {
            fields.push((name, FieldValue::Digits(0)));
        }
        fields
    }
}
