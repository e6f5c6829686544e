"""Writes the synchronous client from the asynchronous one: `python unasync.py`; `--check` says whether it is current.

`_async/io.py` and `_sync/io.py` are written by hand: they are what differs but grammar.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "src" / "coagent_runtime"
BY_HAND = {"io.py"}

HEAD = "# Written by unasync.py from _async/{name}: change that one.\n"

PHRASES = [
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\ba(close|read|iter_bytes)\b", r"\1"),
    (r"\bAsync([A-Z]\w*)\b", r"\1"),
    (
        r"The asynchronous client\. The synchronous one is written from it by `unasync\.py`\.",
        "The synchronous client.",
    ),
    (r"by any number of tasks", "by any number of threads"),
]


def synchronous(text: str, name: str) -> str:
    """The module in the grammar of ordinary functions."""
    # A generator that is no longer asynchronous has a third parameter: what it returns.
    text = re.sub(r"\bAsyncGenerator\[((?:[^\[\]]|\[[^\]]*\])+), None\]", r"AsyncGenerator[\1, None, None]", text)
    for pattern, replacement in PHRASES:
        text = re.sub(pattern, replacement, text)
    return HEAD.format(name=name) + text


def formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [*ruff, *command, "--stdin-filename", str(PACKAGE / "_sync" / "x.py"), "-"],
            input=text, capture_output=True, text=True, check=True,
        )  # fmt: skip
        text = done.stdout
    return text


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    stale = []
    for source in sorted((PACKAGE / "_async").glob("*.py")):
        if source.name in BY_HAND:
            continue
        target = PACKAGE / "_sync" / source.name
        text = formatted(synchronous(source.read_text(), source.name))
        if not target.exists() or target.read_text() != text:
            stale.append(target.name)
            if not check:
                target.write_text(text)
    if check and stale:
        print(f"{', '.join(stale)} differ from _async: run `python unasync.py`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
