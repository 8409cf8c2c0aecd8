#!/usr/bin/env bash
# Makes sure that the page's tests find Debian's Chromium; installs it when root. Elsewhere than in CI these tests are skipped
# without it.
set -euo pipefail
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Debian's chromium, for the tests of the page" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
  exit 0
fi
cat >&2 <<TEXT
The tests of the page need Chromium at /usr/bin/chromium, and are skipped without it.
On Debian:  sudo apt-get install chromium
TEXT
[ -z "${CI:-}" ]
