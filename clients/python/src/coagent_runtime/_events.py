"""The AG-UI events of a run, read from a stream."""

from __future__ import annotations

import json

from ._sse import ServerEvent
from .errors import ProtocolError
from .runs import AgentEvent


def read(event: ServerEvent) -> AgentEvent:
    """An AG-UI event of a stream."""
    try:
        data = json.loads(event.data)
        return AgentEvent(data["type"], data, event.id or None)
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"an event that is none of AG-UI: {event.data[:200]}") from error
