//! What documents promise: SECURITY.md names tests that exist, a README is one screen, and the
//! changelog knows the version.

use std::{fs, path::Path};

const SECURITY: &str = include_str!("../../SECURITY.md");
const README: &str = include_str!("../../README.md");
const README_ZH: &str = include_str!("../../README.zh-CN.md");
const CHANGELOG: &str = include_str!("../../CHANGELOG.md");
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// Returns the promises of SECURITY.md, each with the tests that it names: lines of code alone.
fn promises() -> Vec<(&'static str, Vec<&'static str>)> {
    let (_, promises) = SECURITY.split_once("\n## Promises\n").unwrap();
    let (promises, _) = promises.split_once("\n## ").unwrap();
    let promises = promises.split("\n- ").skip(1);
    let code = |line: &'static str| {
        let line = line.trim().trim_end_matches(',');
        let code = line.strip_prefix('`')?.strip_suffix('`')?;
        (!code.contains('`')).then_some(code)
    };
    promises
        .map(|promise| (promise, promise.lines().filter_map(code).collect()))
        .collect()
}

/// Returns the source of a module and of the modules below it, or `None` if there is no such file.
fn source_of(module: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("it")
        .join(module);
    let mut source = fs::read_to_string(path.with_extension("rs")).ok()?;
    for file in fs::read_dir(path).into_iter().flatten() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "rs") {
            source += &fs::read_to_string(file).unwrap();
        }
    }
    Some(source)
}

#[test]
fn every_promise_of_security_md_names_tests_that_exist() {
    let promises = promises();
    assert!(
        !promises.is_empty(),
        "SECURITY.md: start each promise with `- `"
    );
    for (promise, tests) in promises {
        let (promise, _) = promise.split_once('\n').unwrap_or((promise, ""));
        assert!(
            !tests.is_empty(),
            "SECURITY.md: add the test that shows it, as a line `module::function`. {promise}"
        );
        for test in tests {
            let (module, function) = test.split_once("::").unwrap_or((test, ""));
            let Some(source) = source_of(module) else {
                panic!("SECURITY.md names {test}, but there is no tests/it/{module}.rs. {promise}");
            };
            assert!(
                function.is_empty() || source.contains(&format!("fn {function}(")),
                "SECURITY.md names {test}, which does not exist: name its test. {promise}"
            );
        }
    }
}

#[test]
fn each_readme_is_one_screen() {
    let bytes = README.len();
    assert!(
        bytes <= 8_192,
        "README.md has {bytes} bytes of 8192: move details to docs/en"
    );
    let characters = README_ZH.chars().count();
    assert!(
        characters <= 8_000,
        "README.zh-CN.md has {characters} characters of 8000: move details to docs/zh-CN"
    );
}

#[test]
fn the_changelog_has_an_entry_for_the_version() {
    let (_, version) = MANIFEST.split_once("\nversion = \"").unwrap();
    let (version, _) = version.split_once('"').unwrap();
    let heading = format!("\n## {version} - ");
    assert!(
        CHANGELOG.contains(&heading),
        "write in CHANGELOG.md what is new for users, below `## {version} - DATE`"
    );
}
