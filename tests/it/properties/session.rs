//! Properties of the values that a session cookie stores in a shorter form.

use proptest::prelude::*;
use serde_json::json;
use tower_qq_auth::{Identity, OpenId, QqUser, UnionId};

use super::{config, layer_with, whoami};
use crate::site::{APP_ID, block_on, pages};

/// Ids of every shape that QQ uses, and near misses of them.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[0-9A-F]{32}",
        1 => "[0-9a-f]{32}",
        1 => "[0-9A-Fa-f]{32}",
        1 => "[0-9A-F]{30,34}",
        1 => "[0-9A-F]{31}[G-Z_-]",
        2 => "UID_[0-9A-F]{32}",
        1 => "UID_[0-9a-f]{32}",
        1 => "UID_[0-9A-F]{30,34}",
        1 => "(uid_|UID-|UID)[0-9A-F]{32}",
        1 => "UID_UID_[0-9A-F]{32}",
        1 => "[0-9A-Za-z_-]{1,128}",
    ]
}

/// Pictures at the hosts that QQ uses, and near misses of them.
fn picture() -> impl Strategy<Value = String> {
    let host = "(thirdqq|qzapp|q|qh|q1|qq|wx)\\.qlogo\\.cn";
    let start = prop_oneof![
        6 => host.prop_map(|host| format!("https://{host}/")),
        1 => host.prop_map(|host| format!("https://{host}")),
        1 => host.prop_map(|host| format!("http://{host}/")),
        1 => host.prop_map(|host| format!("https://{}/", host.to_uppercase())),
        1 => host.prop_map(|host| format!("https://{host}:443/")),
        1 => host.prop_map(|host| format!("https://{host}.evil.example/")),
        1 => host.prop_map(|host| format!("https://evil.example/https://{host}/")),
        1 => Just(String::new()),
    ];
    let path = prop_oneof![1 => Just(String::new()), 4 => "[!-~]{1,300}", 1 => "[/中 ]{1,9}"];
    (start, path).prop_map(|(start, path)| start + &path)
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn every_id_and_picture_comes_back_byte_for_byte(
        openid in id(),
        app_id in prop_oneof![Just(APP_ID.to_owned()), "[0-9]{1,20}"],
        unionid in prop::option::of(id()),
        picture in prop::option::of(picture()),
    ) {
        let identity = Identity::new(&app_id, &OpenId::new(openid).unwrap()).unwrap();
        let mut user = QqUser::new(identity);
        if let Some(unionid) = unionid {
            user = user.with_unionid(UnionId::new(unionid).unwrap());
        }
        if let Some(picture) = picture {
            user = user.with_avatar(picture);
        }
        block_on(async {
            let (layer, _) = layer_with(None);
            let cookie = layer.session_cookie(&user, None).unwrap();
            let router = pages().layer(layer);
            assert_eq!(whoami(&router, &[&cookie]).await, json!(user));
        });
    }
}
