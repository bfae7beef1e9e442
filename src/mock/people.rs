//! Made-up people.

use super::wire::{Fields, Value};

/// Somebody who can sign in at the mock. All fields may be changed, also to something QQ would never send.
///
/// ```
/// use tower_qq_auth::mock::{MockQq, Person};
///
/// let qq = MockQq::new("101905280", "key", "https://site.example/auth/qq/callback");
/// let mut ghost = Person::new("00000000000000000000000000000001", "qzuser");
/// ghost.avatar_100 = String::new();
/// qq.add_person(ghost);
/// assert_eq!(qq.people().len(), 4);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Person {
    /// Who this is for the app; 32 upper-case hex digits on the real QQ.
    pub openid: String,
    /// Who this is for all apps of one owner; `UID_` and 32 hex digits.
    pub unionid: String,
    /// The name, unescaped.
    pub nickname: String,
    /// `figureurl_qq_1`, 40 pixels.
    pub avatar_40: String,
    /// `figureurl_qq_2`, 100 pixels; empty for people who have none.
    pub avatar_100: String,
    /// `figureurl_qq`, 640 pixels; the field is missing if this is empty.
    pub avatar_640: String,
}

impl Person {
    /// A person with pictures at `http://thirdqq.qlogo.cn/` and a UnionID made from the openid.
    pub fn new(openid: impl Into<String>, nickname: impl Into<String>) -> Self {
        let openid = openid.into();
        let key = openid.to_lowercase();
        let avatar =
            |size| format!("http://thirdqq.qlogo.cn/g?b=oidb&k={key}&s={size}&t=1593445861");
        Self {
            unionid: openid
                .chars()
                .rev()
                .fold("UID_".to_owned(), |mut id, digit| {
                    id.push(digit);
                    id
                }),
            nickname: nickname.into(),
            avatar_40: avatar(40),
            avatar_100: avatar(100),
            avatar_640: avatar(640),
            openid,
        }
    }

    /// The three of a new mock: a plain name, one with emoji, one with markup.
    pub(super) fn defaults() -> Vec<Self> {
        vec![
            Self::new("C3A5D19E07B24F68913BD0A4E7F2586C", "小明"),
            Self::new("5E8F20B7C94D13A6F07B6E2D81C3A94F", "企鹅🐧 Penguin"),
            Self::new("90B64EF7A1D2385C4E6F90A7B8D1C23E", "<b>小红</b> & \"Co\""),
        ]
    }

    /// The profile. What the person did not choose is the filler that QQ sends to everybody since 2022.
    pub(super) fn profile(&self, app_id: &str) -> Fields {
        let qzone = |size| {
            let openid = &self.openid;
            Value::text(format!(
                "http://qzapp.qlogo.cn/qzapp/{app_id}/{openid}/{size}"
            ))
        };
        let mut fields = vec![
            ("ret", Value::Number(0)),
            ("msg", Value::text("")),
            ("is_lost", Value::Number(0)),
            ("nickname", Value::text(&self.nickname)),
            ("gender", Value::text("男")),
            ("gender_type", Value::Number(2)),
            ("province", Value::text("广东")),
            ("city", Value::text("深圳")),
            ("year", Value::text("1990")),
            ("constellation", Value::text("")),
            ("figureurl", qzone(30)),
            ("figureurl_1", qzone(50)),
            ("figureurl_2", qzone(100)),
            ("figureurl_qq_1", Value::text(&self.avatar_40)),
            ("figureurl_qq_2", Value::text(&self.avatar_100)),
        ];
        if !self.avatar_640.is_empty() {
            fields.push(("figureurl_qq", Value::text(&self.avatar_640)));
        }
        fields.push(("figureurl_type", Value::Digits(1)));
        for name in [
            "is_yellow_vip",
            "vip",
            "yellow_vip_level",
            "level",
            "is_yellow_year_vip",
        ] {
            fields.push((name, Value::Digits(0)));
        }
        fields
    }
}
