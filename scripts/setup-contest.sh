#!/usr/bin/env bash
# Makes sure that PostgreSQL and Redis are here for `make contest`: installs Debian's packages when root, else says which
# ones are missing; the contest then goes on without them, and says so in its table. Starts neither.
set -euo pipefail
missing=()
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
[ ${#missing[@]} = 0 ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Without ${missing[*]} the contest is smaller. On Debian: sudo apt-get install ${missing[*]}" >&2
  exit 0
fi
echo "Installing Debian's ${missing[*]}, which are not started" >&2
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
  trap 'rm -f $policy' EXIT
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
