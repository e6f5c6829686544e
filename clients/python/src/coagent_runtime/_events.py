"""Where a follower of a run is: pure, so that both clients go on alike after a cut.

Text is shown before it is stored, without an id, so that what comes again after a cut begins with text that is here.
"""

from __future__ import annotations

import json
from typing import Any

from ._sse import ServerEvent
from .errors import ProtocolError
from .runs import AgentEvent

_Stream = tuple[str, str]
"""A kind of event that carries pieces of a text, and whose text it is."""


class Follower:
    def __init__(self, after: str | None = None) -> None:
        self.last_id = after
        # Characters of each text that came after `last_id`.
        self._ahead: dict[_Stream, int] = {}
        # Of those, what is coming again on this connection.
        self._again: dict[_Stream, int] = {}

    def resumes(self) -> dict[str, str]:
        """The headers with which it goes on."""
        for stream, count in self._again.items():
            self._ahead[stream] = self._ahead.get(stream, 0) + count
        self._again, self._ahead = self._ahead, {}
        return {} if self.last_id is None else {"Last-Event-ID": self.last_id}

    def take(self, event: ServerEvent) -> AgentEvent | None:
        """The event, or what is new of it."""
        is_durable = bool(event.id) and event.id != self.last_id
        said = read(event)
        if is_durable:
            self.last_id = event.id
            self._ahead.clear()
        elif (stream := _stream(said.data)) is not None:
            self._ahead[stream] = self._ahead.get(stream, 0) + len(said.data["delta"])
        told = self._new_of(said)
        return None if told is None else AgentEvent(told.type, told.data, event.id if is_durable else None)

    def _new_of(self, told: AgentEvent) -> AgentEvent | None:
        stream = _stream(told.data)
        known = 0 if stream is None else self._again.get(stream, 0)
        if stream is None or known == 0:
            return told
        delta = told.data["delta"]
        self._again[stream] = max(0, known - len(delta))
        rest = delta[known:]
        return AgentEvent(told.type, {**told.data, "delta": rest}) if rest else None


def read(event: ServerEvent) -> AgentEvent:
    """An AG-UI event of a stream."""
    try:
        data = json.loads(event.data)
        return AgentEvent(data["type"], data, event.id or None)
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"an event that is none of AG-UI: {event.data[:200]}") from error


def _stream(data: dict[str, Any]) -> _Stream | None:
    whose = data.get("messageId") or data.get("toolCallId")
    return (data["type"], whose) if isinstance(data.get("delta"), str) and isinstance(whose, str) else None
