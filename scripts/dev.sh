#!/usr/bin/env bash
# Vite's server for the page, in front of a real server with data of its own,
# which ends with it. Arguments go to stripchart.
set -euo pipefail
cd "$(dirname "$0")/.."

address=127.0.0.1:${STRIPCHART_DEV_PORT:-5050}
bin/stripchart --listen "$address" --data-dir .cache/dev-data "$@" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true' EXIT

STRIPCHART_URL=http://$address npm --prefix web run dev
