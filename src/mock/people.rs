//! The users of the mock.

use super::wire::{FieldList, FieldValue};

/// A user who can sign in at the mock.
///
/// All fields can be changed, even to values that QQ would never send.
///
/// ```
/// use tower_qq_auth::mock::{MockQq, Person};
///
/// let qq = MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
/// let mut person = Person::new("00000000000000000000000000000001", "qzuser");
/// person.avatar_100 = String::new();
/// qq.add_person(person);
/// assert_eq!(qq.people().len(), 4);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Person {
    /// The id of the user within the app; 32 upper-case hex digits on the real QQ.
    pub openid: String,
    /// The id of the user across all apps of one owner; `UID_` and 32 hex digits on the real QQ.
    pub unionid: String,
    /// The nickname, not escaped.
    pub nickname: String,
    /// The avatar URL in `figureurl_qq_1`, 40 pixels.
    pub avatar_40: String,
    /// The avatar URL in `figureurl_qq_2`, 100 pixels; empty for a user without an avatar.
    pub avatar_100: String,
    /// The avatar URL in `figureurl_qq`, 640 pixels; if empty, the profile omits the field.
    pub avatar_640: String,
}

impl Person {
    /// Creates a user with avatars at `http://thirdqq.qlogo.cn/` and a UnionID derived from the
    /// openid.
    pub fn new(openid: impl Into<String>, nickname: impl Into<String>) -> Self {
        let openid = openid.into();
        let key = openid.to_lowercase();
        let avatar =
            |size| format!("http://thirdqq.qlogo.cn/g?b=oidb&k={key}&s={size}&t=1593445861");
        Self {
            unionid: format!("UID_{}", openid.chars().rev().collect::<String>()),
            nickname: nickname.into(),
            avatar_40: avatar(40),
            avatar_100: avatar(100),
            avatar_640: avatar(640),
            openid,
        }
    }

    /// Returns the users of a new mock: a plain nickname, one with an emoji, one with markup.
    pub(super) fn defaults() -> Vec<Self> {
        vec![
            Self::new("C3A5D19E07B24F68913BD0A4E7F2586C", "小明"),
            Self::new("5E8F20B7C94D13A6F07B6E2D81C3A94F", "企鹅🐧 Penguin"),
            Self::new("90B64EF7A1D2385C4E6F90A7B8D1C23E", "<b>小红</b> & \"Co\""),
        ]
    }

    /// Returns the profile. Apart from nickname and avatars, its values are the placeholders that
    /// QQ has sent for every user since 2022.
    pub(super) fn profile(&self, app_id: &str) -> FieldList {
        let qzone = |size| {
            let openid = &self.openid;
            FieldValue::text(format!(
                "http://qzapp.qlogo.cn/qzapp/{app_id}/{openid}/{size}"
            ))
        };
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
            ("constellation", FieldValue::text("")),
            ("figureurl", qzone(30)),
            ("figureurl_1", qzone(50)),
            ("figureurl_2", qzone(100)),
            ("figureurl_qq_1", FieldValue::text(&self.avatar_40)),
            ("figureurl_qq_2", FieldValue::text(&self.avatar_100)),
        ];
        if !self.avatar_640.is_empty() {
            fields.push(("figureurl_qq", FieldValue::text(&self.avatar_640)));
        }
        fields.push(("figureurl_type", FieldValue::Digits(1)));
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
