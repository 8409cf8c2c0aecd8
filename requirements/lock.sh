#!/usr/bin/env bash
# Writes requirements/*.txt: names, versions and hashes, no hosts.
#
# run.txt is what the two distributions need to run, with charts and the extras of the demo and of a cluster, and what these need
# in turn; build.txt is what builds them; test.txt is what tests and checks need on top of run.txt; contest.txt is
# what contends with Headcount, in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")"
overrides=$(mktemp)
trap 'rm -f "$overrides"' EXIT
# The client comes from this repository.
echo "headcount-client @ file://$(cd .. && pwd)/sdk" >"$overrides"
compile() {
  ../.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
    --overrides "$overrides" --no-emit-package headcount-client "$@"
}
compile --extra demo --extra plot --extra cluster ../sdk/pyproject.toml ../server/pyproject.toml -o run.txt
compile build.in -o build.txt
compile run.txt test.in -o test.txt
compile audit.in -o audit.txt
compile contest.in -o contest.txt
