#!/usr/bin/env bash
# Runs everything: ./test.sh. Without Node, Python and the browser: ./test.sh quick.
set -euo pipefail
cd "$(dirname "$0")"
mode=${1:-full}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export COAGENT_BIN=$CARGO_TARGET_DIR/release/coagent
case "$mode" in full | quick) ;; *) echo "usage: ./test.sh [quick]" >&2; exit 2 ;; esac

say() { printf '\n== %s\n' "$*"; }

# Installs Debian packages that are missing; where that is not possible, the tests that need them say `skipped`.
need() {
  local missing=() command package
  for pair in "$@"; do
    command=${pair%%:*} package=${pair##*:}
    command -v "$command" >/dev/null || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing ${missing[*]}"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    say "missing and not installed (needs root and apt-get): ${missing[*]}"
  fi
}

need cc:gcc make:make strace:strace mkfs.ext4:e2fsprogs
[ "$mode" = full ] && need chromium:chromium node:nodejs npm:npm python3:python3-venv

say "formatting"
cargo fmt --all --check

say "lints"
cargo clippy --all-targets --quiet -- -D warnings

if [ "$mode" = full ]; then
  say "fast-json-patch, TypeScript, pydantic and the MCP SDK for the suite"
  (cd tests/fast-json-patch && npm ci --no-audit --no-fund --loglevel=error)
  (cd tests/generated-types && npm ci --no-audit --no-fund --loglevel=error)
  [ -x tests/generated-types/.venv/bin/python ] || python3 -m venv tests/generated-types/.venv
  tests/generated-types/.venv/bin/pip install --quiet --disable-pip-version-check -r tests/generated-types/requirements.txt
  [ -x tests/mcp/.venv/bin/python ] || python3 -m venv tests/mcp/.venv
  tests/mcp/.venv/bin/pip install --quiet --disable-pip-version-check -r tests/mcp/requirements.txt
  export COAGENT_RIGS=1
fi

say "suite"
# A whole run takes a few minutes; one that does not end is a failure, not a machine that waits.
timeout --verbose 40m cargo test --quiet --lib --bins --test all

[ "$mode" = quick ] && { say "passed (quick: without Node, Python and the browser)"; exit 0; }

say "release build"
cargo build --release --quiet

say "the Python client against the built binary, and its wheel in an empty environment"
clients/python/check.sh

say "definitions"
"$COAGENT_BIN" check

say "CopilotKit's core and ag-ui's clients against the built binary"
(cd tests/clients && npm ci --no-audit --no-fund --loglevel=error && npm test --silent)

say "aimock as the model of the built binary"
(cd tests/model && npm ci --no-audit --no-fund --loglevel=error && npm test --silent)

say "agents of pydantic-ai and LangGraph, hosted by the built binary"
python3 tests/remote-agents/rig.py

say "the npm package, and the pages of the examples"
(cd clients/react && npm ci --no-audit --no-fund --loglevel=error && npm run --silent check && npm run --silent build)
(cd examples/shared-state-react && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build)
(cd examples/copilotkit-react && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build)

say "the npm package against the built binary, in Node and in Chromium"
(cd clients/react && npm test --silent)

say "the page in Chromium against the built binary"
(cd tests/browser && npm ci --no-audit --no-fund --loglevel=error && npm test --silent)

say "passed"
