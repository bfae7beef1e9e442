//! Session keys: accepted forms, and keys that could be guessed.

use base64::{Engine as _, prelude::*};
use tower_qq_auth::{ConfigError, SessionKeys};

const HEX: &str = "52043fcb5b0cc662a9b2dba76c3ada8adf52a8151c479996942a95d8755e5c6c";

/// Returns the text of the error after checks that hold for every such error.
#[track_caller]
fn problem(key: impl std::fmt::Debug, result: Result<SessionKeys, ConfigError>) -> String {
    let Err(error) = result else {
        panic!("{key:?} was accepted")
    };
    let text = error.to_string();
    for line in text.lines() {
        assert!(line.starts_with("session key (QQ_SESSION_KEY) "), "{line}");
        assert!(line.is_ascii() && !line.ends_with('.'), "{line}");
    }
    text
}

/// A generator of random bytes with a seed, so that the test cannot fail by chance.
struct SplitMix(u64);

impl SplitMix {
    fn key(&mut self) -> [u8; 32] {
        let words: [_; 4] = std::array::from_fn(|_| self.next().to_ne_bytes());
        std::array::from_fn(|at| words[at / 8][at % 8])
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[test]
fn a_million_random_keys_are_accepted() {
    let mut random = SplitMix(14);
    for number in 0..1_000_000 {
        let key = random.key();
        // A written key is checked like a raw one, and more.
        let keys = match number % 10 {
            0 => SessionKeys::parse(&BASE64_STANDARD.encode(key)),
            1 => SessionKeys::parse(&BASE64_URL_SAFE_NO_PAD.encode(key)),
            2 => SessionKeys::parse(&hex(&key)),
            _ => SessionKeys::new(&key),
        };
        assert!(keys.is_ok(), "{key:?}: {keys:?}");
    }
}

fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_written_key_is_hex_or_base64() {
    let key = SplitMix(1).key();
    let accepted = [
        hex(&key),
        hex(&key).to_uppercase(),
        format!(" {}\n", hex(&key)),
        BASE64_STANDARD.encode(key),
        BASE64_STANDARD_NO_PAD.encode(key),
        BASE64_URL_SAFE.encode(key),
        BASE64_URL_SAFE_NO_PAD.encode(key),
        format!("{HEX} , {}", BASE64_STANDARD.encode(key)),
        hex(&[key, SplitMix(2).key()].concat()),
    ];
    for text in &accepted {
        assert!(SessionKeys::parse(text).is_ok(), "{text}");
    }
    let written = "must be hex or base64";
    let mistyped = "must be an even number of hex digits and nothing else";
    let refused = [
        (&HEX[1..], mistyped),
        (&HEX[..63], mistyped),
        (&HEX.replacen('0', "O", 1), mistyped),
        (&HEX.replacen('0', "o", 2), mistyped),
        (&format!("0x{HEX}"), mistyped),
        (&format!("\"{HEX}\""), "has quotes around it: remove them"),
        (&format!("{HEX}=="), mistyped),
        (&HEX[..43], mistyped),
        ("canary", mistyped),
        ("not-base-64-at-all-$$$", written),
        ("canary canary canary canary canary canary canary", written),
        ("不是密钥不是密钥不是密钥不是密钥", written),
        // The last character has bits that no byte needs.
        (
            &(BASE64_STANDARD_NO_PAD.encode(key)[..42].to_owned() + "B"),
            written,
        ),
    ];
    for (text, expected) in refused {
        let problem = problem(text, SessionKeys::parse(text));
        assert!(problem.ends_with(expected), "{text}: {problem}");
        assert!(!problem.contains(text), "{problem}");
    }
}

#[test]
fn keys_that_could_be_guessed_are_refused() {
    let short = "is too short";
    let text = "is text";
    let pattern = "is not random";
    let random = SplitMix(3).key();
    let written = [hex(&random), BASE64_STANDARD.encode(random)];
    let raw: [(&[u8], &str); 22] = [
        (b"", short),
        (&random[..31], short),
        (b"0123456789abcdef0123456789abcdef", text),
        (b"correct horse battery staple, correct horse", text),
        (b"Tr0ub4dor&3 Tr0ub4dor&4 Tr0ub4dor&5\r\n", text),
        (b"a passphrase in a longer buffer\0\0\0\0\0", text),
        ("这是一个会话密钥，不要泄露给别人".as_bytes(), text),
        (written[0].as_bytes(), text),
        (written[1].as_bytes(), text),
        (&[0; 32], pattern),
        (&[0xff; 64], pattern),
        (&std::array::from_fn::<u8, 32, _>(|at| at as u8), pattern),
        (
            &std::array::from_fn::<u8, 32, _>(|at| 255 - at as u8),
            pattern,
        ),
        (
            &std::array::from_fn::<u8, 32, _>(|at| (at * 37) as u8),
            pattern,
        ),
        // A counter of two bytes, and one of four.
        (
            &std::array::from_fn::<u8, 64, _>(|at| [0, at as u8 / 2][at % 2]),
            pattern,
        ),
        (
            &std::array::from_fn::<u8, 64, _>(|at| [0, 0, 0, at as u8 / 4][at % 4]),
            pattern,
        ),
        (&random[..4].repeat(8), pattern),
        (&random[..15].repeat(3), pattern),
        (&random[..16].repeat(2), pattern),
        // Random bytes, but too few of them.
        (&[&random[..16], &[0; 16]].concat(), pattern),
        (&random.map(|byte| byte % 15), pattern),
        // Digits only.
        (&random.map(|byte| byte % 10 * 16 + byte / 16 % 10), pattern),
    ];
    for (key, expected) in raw {
        for result in [SessionKeys::new(key), SessionKeys::parse(&hex(key))] {
            let problem = problem(key, result);
            assert!(problem.contains(expected), "{key:?}: {problem}");
        }
    }
    let written = [
        (
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            pattern,
        ),
        (
            "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
            pattern,
        ),
        (
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            pattern,
        ),
        (
            "00112233445566778899aabbccddeeff102132435465768798a9babbdcddedfe",
            pattern,
        ),
        (
            "8d1e0f8f0a4f2d3b6c5a7e9180b2c4d6e8fa0c1e2d3f4a5b6c7d8e9fa0b1c2d3",
            pattern,
        ),
        (
            "deadbeefcafebabedeadbeefcafebabedeadbeefcafebabedeadbeefcafebabe",
            pattern,
        ),
        (
            "3141592653589793238462643383279502884197169399375105820974944592",
            pattern,
        ),
        ("correcthorsebatterystaplecorrecthorsebattery", text),
        ("CORRECT-HORSE-BATTERY-STAPLE-FOR-THE-SESSION", text),
        ("1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p1qaz2wsx", text),
        (
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/",
            pattern,
        ),
        ("ChangeMe1234ChangeMe1234ChangeMe1234ChangeMe", pattern),
        (
            "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZSwgY29ycmVjdCBob3JzZQ==",
            text,
        ),
        ("Y2FuYXJ5", short),
        ("", short),
    ];
    for (key, expected) in written {
        let problem = problem(key, SessionKeys::parse(key));
        assert!(problem.contains(expected), "{key}: {problem}");
    }
}

#[test]
fn each_wrong_key_of_a_ring_is_named() {
    let zeros = "00".repeat(32);
    for (keys, expected) in [
        (
            format!("canary,{HEX},{zeros}"),
            &["number 1 of 3 must be", "number 3 of 3 is not"][..],
        ),
        (format!("{HEX},"), &["number 2 of 2 is too short"]),
        (format!("{HEX},{HEX}!"), &["number 2 of 2 must be"]),
    ] {
        let text = problem(&keys, SessionKeys::parse(&keys));
        assert_eq!(text.lines().count(), expected.len(), "{text}");
        for (line, expected) in text.lines().zip(expected) {
            assert!(line.contains(expected), "{line}");
        }
        assert!(!text.contains("canary") && !text.contains(&zeros), "{text}");
        assert!(!text.contains(HEX), "{text}");
    }
}
