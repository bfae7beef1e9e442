#!/usr/bin/env bash
# Fetches the versions of htmx with which tests/it/chromium/htmx.rs runs.
set -euo pipefail
cd "$(dirname "$0")/.."
to=target/htmx
mkdir -p "$to"
for version in 2.0.11 4.0.1; do
  [ -s "$to/$version.js" ] || {
    archive=$(npm pack --silent --pack-destination "$to" "htmx.org@$version")
    tar -xzf "$to/$archive" -C "$to" --strip-components=2 package/dist/htmx.min.js
    mv "$to/htmx.min.js" "$to/$version.js"
  }
done
