"""A call of the API as data: what is sent, and how the answer is read. It knows nothing of connections."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from .errors import ProtocolError

T = TypeVar("T")

JSON = "application/json"


class Repeat(enum.Enum):
    """What sending a call twice does."""

    HARMLESS = "reads, and writes that say the same thing again"
    ONCE = "one effect, by its idempotency key"
    TWICE = "two effects, so that a lost answer stays unknown"


@dataclass(frozen=True)
class Answer:
    """A successful answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ProtocolError(f"the answer is not JSON: {error}") from error


@dataclass(frozen=True)
class Call(Generic[T]):
    method: str
    path: str
    read: Callable[[Answer], T]
    repeat: Repeat = Repeat.HARMLESS
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    idempotency_key: str | None = None

    def outcome(self, answer: Answer) -> T:
        """What the answer says."""
        try:
            return self.read(answer)
        except (KeyError, TypeError) as error:
            raise ProtocolError(f"{self.method} {self.path} was answered otherwise than expected: {error!r}") from error


def encoded(value: Any) -> bytes:
    """JSON as the runtime accepts it: no NaN, nothing that is not JSON; `TypeError` or `ValueError` if it is not."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def segment(text: str) -> str:
    """One segment of a path."""
    return quote(text, safe="")


def query_of(**parameters: str | int | bool | None) -> dict[str, str]:
    """The parameters that are given."""
    return {name: _word(value) for name, value in parameters.items() if value is not None and value is not False}


def _word(value: str | int | bool) -> str:
    return "true" if value is True else str(value)
