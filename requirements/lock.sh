#!/usr/bin/env bash
# Writes requirements/run.txt and requirements/test.txt: names, versions and hashes, no hosts.
set -euo pipefail
cd "$(dirname "$0")"
overrides=$(mktemp)
trap 'rm -f "$overrides"' EXIT
# The client comes from this repository, not from an index that has another of the same name.
echo "segment-public-api @ file://$(cd .. && pwd)/sdk" >"$overrides"
compile() {
  ../.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
    --overrides "$overrides" --no-emit-package segment-public-api "$@"
}
compile --extra demo run.in ../sdk/pyproject.toml ../server/pyproject.toml -o run.txt
compile run.txt test.in -o test.txt
