#!/usr/bin/env bash
# Makes sure that Python 3.11 or newer can make virtual environments here; installs Debian's
# packages for it when root, else says which ones are missing.
set -euo pipefail
python=${PYTHON:-python3}

usable() {
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
    "$python" -c 'import venv, ensurepip' 2>/dev/null
}

usable && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Debian's python3 and python3-venv" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
  usable && exit 0
fi
cat >&2 <<TEXT
Headcount needs Python 3.11 or newer with its venv module, and '$python' is not that.
On Debian 12 or newer:  sudo apt-get install python3 python3-venv
Elsewhere: install Python 3.11+, then run  make PYTHON=/path/to/python3.11 …
TEXT
exit 1
