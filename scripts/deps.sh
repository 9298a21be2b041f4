#!/usr/bin/env bash
# Installs with apt what the tests need besides Go, Node and npm, where that is
# possible without asking anybody; otherwise names it and stops. Prints what it
# does.
set -euo pipefail

missing=()  # what a person calls it
packages=() # what apt calls it

# need WHAT "PACKAGES" COMMAND... : one of the commands has to be there. Daemons
# lie where a user's path may not lead.
need() {
  local what=$1 debs=$2 command
  shift 2
  for command in "$@"; do
    if PATH=$PATH:/usr/local/sbin:/usr/sbin command -v "$command" >/dev/null; then
      return
    fi
  done
  lack "$what" "$debs"
}

# need_python MODULES "PACKAGES" : the system's Python has to have the modules.
need_python() {
  if ! /usr/bin/python3 -s -c "import $1" 2>/dev/null; then
    lack "python3-socketio (for the tests of other clients)" "$2"
  fi
}

lack() {
  missing+=("$1")
  # shellcheck disable=SC2206 # several packages in one word
  packages+=($2)
}

need 'a C compiler (for the race detector and the fault tests)' 'gcc libc6-dev' cc gcc clang
need 'Chromium (for the end-to-end tests)' 'chromium fonts-liberation' \
  "${CHROMIUM:-chromium}" chromium chromium-browser google-chrome google-chrome-stable
need 'nginx (for the tests behind a proxy)' nginx nginx
need 'Redis (for the tests of the bus)' redis-server "${REDIS_SERVER:-redis-server}" redis-server valkey-server
need 'openssl (for the test of nginx with TLS)' openssl openssl
need 'systemd (for the tests of the systemd units)' systemd systemd-analyze
need 'mkfs.ext4 (for the disks of the machine under systemd)' e2fsprogs mkfs.ext4
need 'dpkg (for the tests of the packages)' dpkg dpkg-deb
need 'redis-cli (for the fault tests)' redis-tools redis-cli
need 'Prometheus (for the comparison of answers)' prometheus prometheus
need_python 'socketio, websocket, requests, flask_socketio, redis' \
  'python3-socketio python3-websocket python3-requests python3-flask-socketio python3-redis'

if ((${#missing[@]} == 0)); then
  echo 'deps: a C compiler, Chromium, nginx, Redis, openssl, systemd, mkfs.ext4, dpkg, Prometheus and python3-socketio are there'
  exit
fi

list=$(printf ', %s' "${missing[@]}")
list=${list:2}

if ! command -v apt-get >/dev/null; then
  echo "deps: missing: $list; install what is missing with your system's package manager, then run this again." >&2
  exit 1
fi
as_root=()
if ((EUID != 0)); then
  if ! sudo -n true 2>/dev/null; then
    echo "deps: missing: $list; run \"sudo apt-get install ${packages[*]}\", then this again." >&2
    exit 1
  fi
  as_root=(sudo -n)
fi

echo "deps: missing: $list; installing ${packages[*]} with apt-get"
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 "$@" </dev/null; }
if ! { apt update && apt install -y --no-install-recommends "${packages[@]}"; } >/dev/null; then
  echo "deps: apt-get could not install ${packages[*]} (its reason is above); install them by hand, then run this again." >&2
  exit 1
fi
