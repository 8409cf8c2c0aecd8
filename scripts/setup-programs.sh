#!/usr/bin/env bash
# Installs, for CI, the programs of Debian that the tests of the operator's page run: proxies, what checks a unit file, Prometheus, and what
# makes a small root to build the container in; and PostgreSQL, which a cluster's log stands in. Starts none of them. Elsewhere tests that lack one of them are skipped.
set -euo pipefail
declare -A package=(
  [nginx]=nginx-light [caddy]=caddy [systemd-analyze]=systemd [setpriv]=util-linux [debootstrap]=debootstrap
  [prometheus]=prometheus [promtool]=prometheus
)
# Outside of PATH, where Debian has it.
postgres=$(ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null | tail -1 || true)
missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
[ -n "$postgres" ] || missing+=(postgresql)
[ ${#missing[@]} = 0 ] && exit 0
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
  trap 'rm -f $policy' EXIT
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
