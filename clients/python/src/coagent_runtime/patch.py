"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396), applied to plain JSON values.

Nothing is changed in place: what an operation touches is copied, everything else is shared with the value before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .pointer import PointerError, index, resolve, tokens

Operation = dict[str, Any]
"""One operation of a JSON Patch: `{"op": "add", "path": "/a", "value": 1}`."""

_GONE = object()


class PatchError(ValueError):
    """The patch is malformed or does not apply."""


def apply(value: Any, ops: Iterable[Mapping[str, Any]]) -> Any:
    """The value after all operations; `PatchError` if one of them does not apply."""
    for position, op in enumerate(ops):
        try:
            value = _apply_one(value, op)
        except KeyError as missing:
            raise PatchError(f"operation {position} has no `{missing.args[0]}`") from None
        except (PointerError, PatchError) as error:
            raise PatchError(f"operation {position}: {error}") from None
    return value


def merge(value: Any, patch: Any) -> Any:
    """The value after a merge patch: members that are `None` are removed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), change)
    return merged


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same: numbers by value, and a boolean is not a number."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def _apply_one(value: Any, op: Mapping[str, Any]) -> Any:
    kind, path = op["op"], op["path"]
    if kind == "add":
        return _changed(value, tokens(path), _adding(op["value"]))
    if kind == "replace":
        resolve(value, path)
        return _changed(value, tokens(path), _replacing(op["value"]))
    if kind == "remove":
        resolve(value, path)
        return _removed(value, path)
    if kind == "copy":
        return _changed(value, tokens(path), _adding(resolve(value, op["from"])))
    if kind == "move":
        source = op["from"]
        if path != source and path.startswith(source + "/"):
            raise PatchError("a value cannot be moved into itself")
        moved = resolve(value, source)
        return _changed(_removed(value, source), tokens(path), _adding(moved))
    if kind == "test":
        if not equal(resolve(value, path), op["value"]):
            raise PatchError(f"another value is at {path!r}")
        return value
    raise PatchError(f"{kind!r} is no operation")


_Edit = Callable[[Any, str], Any]
"""What becomes of a container when the place of this token in it changes; without a container, of the root."""


def _adding(new: Any) -> _Edit:
    def edit(container: Any, token: str) -> Any:
        if container is _GONE:
            return new
        if isinstance(container, dict):
            return {**container, token: new}
        if isinstance(container, list):
            place = len(container) if token == "-" else index(token, len(container))
            return [*container[:place], new, *container[place:]]
        raise PatchError("only objects and arrays have places")

    return edit


def _replacing(new: Any) -> _Edit:
    def edit(container: Any, token: str) -> Any:
        if container is _GONE:
            return new
        if isinstance(container, dict):
            return {**container, token: new}
        place = index(token, len(container))
        return [*container[:place], new, *container[place + 1 :]]

    return edit


def _removing(container: Any, token: str) -> Any:
    if container is _GONE:
        return None
    if isinstance(container, dict):
        return {key: value for key, value in container.items() if key != token}
    place = index(token, len(container))
    return [*container[:place], *container[place + 1 :]]


def _removed(value: Any, path: str) -> Any:
    return _changed(value, tokens(path), _removing)


def _changed(value: Any, path: list[str], edit: _Edit) -> Any:
    if not path:
        return edit(_GONE, "")
    # The containers on the way down, then their copies on the way up.
    way = [value]
    for token in path[:-1]:
        way.append(_child(way[-1], token))
    changed = edit(way[-1], path[-1])
    for container, token in zip(reversed(way[:-1]), reversed(path[:-1]), strict=True):
        changed = _replacing(changed)(container, token)
    return changed


def _child(container: Any, token: str) -> Any:
    if isinstance(container, dict) and token in container:
        return container[token]
    if isinstance(container, list) and (place := index(token, len(container))) < len(container):
        return container[place]
    raise PatchError(f"there is no {token!r} to look into")
