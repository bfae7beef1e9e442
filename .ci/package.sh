#!/usr/bin/env bash
# Checks that the package holds the library, its examples and the documents, and nothing else, and
# that it builds and documents itself as it would be published.
set -euo pipefail
cd "$(dirname "$0")/.."
found=$(cargo package --list --allow-dirty 2>/dev/null | sort)
expected=$(
  {
    git ls-files src examples/doctor docs/deploy 'docs/*.md'
    printf '%s\n' examples/{mock_qq.rs,quickstart.css,quickstart.rs} README{,.zh-CN}.md {CHANGELOG,SECURITY}.md
    printf '%s\n' LICENSE-{APACHE,MIT}
    printf '%s\n' Cargo.toml Cargo.toml.orig Cargo.lock .cargo_vcs_info.json # written by cargo
  } | sort
)
echo "package: $(wc -l <<<"$found") files"
diff <(echo "$expected") <(echo "$found") ||
  { echo "package: other files than expected" >&2 && exit 1; }

cargo publish --dry-run --allow-dirty --quiet
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
package=target/package/tower-qq-auth-$version
# docs.rs sees the package alone: the pages of the guide have to be in it.
RUSTDOCFLAGS="-D warnings" CARGO_TARGET_DIR=target \
  cargo doc --quiet --manifest-path "$package/Cargo.toml" --no-deps --all-features
