#!/usr/bin/env bash
# Says in a sentence when Go or Node is missing or too old, before a compiler
# or bundler says it in a page.
#
#   scripts/require.sh go|node
set -euo pipefail
cd "$(dirname "$0")/.."

stop() {
  echo "stripchart: $*" >&2
  exit 1
}

# at_least HAVE WANT compares versions such as 20.19.0.
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]; }

case ${1:-} in
go)
  command -v go >/dev/null || stop "Go is missing; install Go 1.26 or newer from https://go.dev/dl/."
  # Since 1.21 the go command fetches the version that go.mod asks for, if it may,
  # and answers with that version.
  have=$(go env GOVERSION 2>/dev/null) || have=
  at_least "${have#go}" 1.26 ||
    stop "this needs Go 1.26 or newer, and $(GOTOOLCHAIN=local go version 2>/dev/null | cut -d ' ' -f 3) is installed; see https://go.dev/dl/."
  ;;
node)
  command -v node >/dev/null || stop "Node.js is missing; install 20.19 or newer, or 22.12 or newer, from https://nodejs.org/."
  command -v npm >/dev/null || stop "npm is missing; it comes with Node.js from https://nodejs.org/, some systems package it apart."
  have=$(node --version)
  have=${have#v}
  # Vite runs on 20.19 and later 20s, and from 22.12 on; 21 ended before it.
  { at_least "$have" 20.19 && ! at_least "$have" 21; } || at_least "$have" 22.12 ||
    stop "this needs Node.js 20.19 or newer, or 22.12 or newer, and $have is installed; see https://nodejs.org/."
  ;;
*)
  stop "usage: scripts/require.sh go|node"
  ;;
esac
