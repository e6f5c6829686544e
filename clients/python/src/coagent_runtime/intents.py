"""Intents: edits that say what is meant, and merge where patches would collide."""

from __future__ import annotations

from typing import Any

Intent = dict[str, Any]
"""One intent, as `doc.intents([...])` takes it."""


def inc(path: str, by: float = 1) -> Intent:
    """Adds to the number at `path`; a missing one counts as 0."""
    return {"op": "inc", "path": path, "by": by}


def append(path: str, value: Any) -> Intent:
    """Adds to the end of the list at `path`; a missing one counts as empty."""
    return {"op": "append", "path": path, "value": value}


def insert(path: str, value: Any, *, after: str | None = None, before: str | None = None) -> Intent:
    """Puts an item into a keyed list, beside the item of this key; at the end without a place."""
    return {"op": "insert", "path": path, "value": value, **_place(after, before)}


def move(path: str, key: str, *, after: str | None = None, before: str | None = None) -> Intent:
    """Moves the item of this key in a keyed list."""
    return {"op": "move", "path": path, "key": key, **_place(after, before)}


def remove_key(path: str, key: str) -> Intent:
    """Removes the item of this key from a keyed list."""
    return {"op": "remove_key", "path": path, "key": key}


def text(path: str, pos: int, *, delete: int = 0, insert: str = "") -> Intent:
    """Edits a string: at `pos`, `delete` characters (Unicode code points) give way to `insert`."""
    return {"op": "text", "path": path, "pos": pos, "delete": delete, "insert": insert}


def set_(path: str, value: Any) -> Intent:
    """Puts a value at `path`, creating the objects above it."""
    return {"op": "set", "path": path, "value": value}


def unset(path: str) -> Intent:
    """Removes what is at `path`, if anything."""
    return {"op": "unset", "path": path}


def _place(after: str | None, before: str | None) -> dict[str, str]:
    return {name: key for name, key in (("after", after), ("before", before)) if key is not None}
