#!/usr/bin/env bash
# The package holds what users need and nothing else, and the examples in it have all their files.
set -euo pipefail
list=$(cargo package --list --allow-dirty 2>/dev/null)
odd=$(grep -vE '^(src/.*\.rs|examples/[a-z_/]+\.(rs|css|html|js)|README(\.zh-CN)?\.md|CHANGELOG\.md|SECURITY\.md|LICENSE-(MIT|APACHE)|Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json)$' <<<"$list" || true)
for file in $(git ls-files src examples) README.md README.zh-CN.md CHANGELOG.md SECURITY.md LICENSE-MIT LICENSE-APACHE; do
  grep -qxF "$file" <<<"$list" || odd+=$'\n'"missing: $file"
done
echo "package: $(wc -l <<<"$list") files"
if [ -n "$odd" ]; then echo "odd: $odd" >&2; exit 1; fi
