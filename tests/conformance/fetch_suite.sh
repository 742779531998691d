#!/usr/bin/env bash
# Brings, from Debian's packages, the stock peers to test against (redis-server 7.0.15, redis-cli, redis-benchmark;
# valkey-server 8.0) and the test suite of Redis 7.0.15, unpacked from its source package into a scratch folder
# (default: $HOME/.cache/peer-suites). Nothing of the suite is kept in this repository.
# Usage: fetch_suite.sh [FOLDER]      Prints the suite's folder. Needs root (apt) the first time. Safe to run again.
set -euo pipefail

dir=${1:-$HOME/.cache/peer-suites}
suite=$dir/redis-7.0.15
sources=/etc/apt/sources.list.d/peer-suites.sources

have() { command -v "$1" >/dev/null; }

complete() {
  have tclsh && have redis-server && have redis-cli && have redis-benchmark && have valkey-server && [ -d "$suite/tests" ]
}

add_sources() {
  [ -e "$sources" ] && return
  local uri key
  uri=$(grep -m1 '^URIs:' /etc/apt/sources.list.d/debian.sources)
  key=$(grep -m1 '^Signed-By:' /etc/apt/sources.list.d/debian.sources || true)
  {
    printf 'Types: deb-src\n%s\nSuites: bookworm\nComponents: main\n%s\n\n' "$uri" "$key"
    printf 'Types: deb\n%s\nSuites: bookworm-backports\nComponents: main\n%s\n' "$uri" "$key"
  } > "$sources"
}

install_peers() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # The packages would start their servers; policy-rc.d keeps them off.
  [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; }
  apt-get install -y -qq --no-install-recommends tcl dpkg-dev redis-server redis-tools >/dev/null
  apt-get install -y -qq --no-install-recommends -t bookworm-backports valkey-server valkey-tools >/dev/null
}

# Debian's revision moves with its point releases; the upstream version, which the lists of tests are for, does not.
unpack_suite() {
  [ -d "$suite/tests" ] && return
  mkdir -p "$dir"
  cd "$dir"
  local version
  version=$(apt-cache showsrc redis | awk '/^Version: 5:7\.0\.15-/ {print $2}' | sort -V | tail -n 1)
  apt-get source -qq --download-only "redis=$version" >/dev/null
  dpkg-source --no-check -x redis_7.0.15-*.dsc "$suite" >/dev/null
}

if ! complete; then
  add_sources
  install_peers
  unpack_suite
fi
echo "$suite"
