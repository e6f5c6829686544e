#!/usr/bin/env bash
# Checks the package and runs its tests against the binary that COAGENT_BIN names: ./check.sh.
set -euo pipefail
cd "$(dirname "$0")"
: "${COAGENT_BIN:?names the runtime\'s binary}"

# Installed anew when what is needed has changed.
needed=$(cat pyproject.toml requirements.txt | sha256sum)
if [ "$(cat .venv/needed 2>/dev/null)" != "$needed" ]; then
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt --editable .
  echo "$needed" >.venv/needed
fi
PATH=$PWD/.venv/bin:$PATH

ruff format --quiet --check .
ruff check --quiet .
python unasync.py --check
mypy --no-error-summary
pytest "$@"
