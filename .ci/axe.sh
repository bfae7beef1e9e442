#!/usr/bin/env bash
# Fetches axe-core, the accessibility checker that tests/it/chromium/looks.rs runs on every page.
set -euo pipefail
cd "$(dirname "$0")/.."
version=4.14.1 to=target/axe-core
grep -qs "axe v$version" "$to/axe.min.js" || {
  mkdir -p "$to"
  archive=$(npm pack --silent --pack-destination "$to" "axe-core@$version")
  tar -xzf "$to/$archive" -C "$to" --strip-components=1 package/axe.min.js
}
