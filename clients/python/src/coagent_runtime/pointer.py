"""JSON Pointer (RFC 6901)."""

from __future__ import annotations

from typing import Any


class PointerError(ValueError):
    """The text is no JSON pointer, or it leads nowhere."""


def pointer(*tokens: str | int) -> str:
    """The pointer of these keys and indexes: `pointer("days", 0, "a/b")` is `/days/0/a~1b`."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def tokens(text: str) -> list[str]:
    """The reference tokens of a pointer."""
    if text == "":
        return []
    if not text.startswith("/"):
        raise PointerError(f"a JSON pointer is empty or begins with `/`: {text!r}")
    return [_unescaped(token, text) for token in text[1:].split("/")]


def _unescaped(token: str, text: str) -> str:
    if "~" in token.replace("~0", "").replace("~1", ""):
        raise PointerError(f"`~` is written `~0`, and `/` `~1`: {text!r}")
    return token.replace("~1", "/").replace("~0", "~")


def index(token: str, length: int) -> int:
    """An array index that is at most `length`: no sign, no leading zeros."""
    if not (token.isascii() and token.isdigit()) or (token != "0" and token.startswith("0")):
        raise PointerError(f"{token!r} is no index of an array")
    number = int(token)
    if number > length:
        raise PointerError(f"index {token} is outside an array of {length}")
    return number


def resolve(value: Any, text: str) -> Any:
    """What the pointer leads to; `PointerError` where there is nothing."""
    for token in tokens(text):
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and (place := index(token, len(value))) < len(value):
            value = value[place]
        else:
            raise PointerError(f"nothing is at {text!r}")
    return value
