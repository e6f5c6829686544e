"""A conversation with the server that outlives its connections."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any

from .._call import encoded
from ..errors import CoagentError, ProtocolError, TooLarge, refusal
from .channel import Channel, Frame, Mutation

# Before the server has said what it takes.
FRAME_BYTES = 1 << 20
IN_FLIGHT = 100


class Conversation:
    """What was said and heard in it, and what is to be said; whoever has a connection sends that, frame by frame."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.connection_id: str | None = None
        self._outgoing: deque[str] = deque()
        self.failure: CoagentError | None = None
        self.retry_after: float | None = None
        self._channels: dict[int, Channel] = {}
        self._next_channel = 1
        # Numbers of mutations belong to the document, whichever channel it is on.
        self._next_ids: dict[str, int] = {}
        self._frame_bytes = FRAME_BYTES
        self._in_flight = IN_FLIGHT

    @property
    def is_welcome(self) -> bool:
        return self.connection_id is not None

    def connected(self) -> None:
        self._say({"type": "hello", "client_id": self.client_id, "protocol": 1})

    def lost(self) -> None:
        """The connection is gone: all that matters is said again on the next one."""
        self.connection_id = None
        self._outgoing.clear()
        for channel in self._channels.values():
            channel.peers = {}

    def next_frame(self) -> str | None:
        return self._outgoing.popleft() if self._outgoing else None

    def open(self, doc: str, create: Any, wants_presence: bool) -> Channel:
        if any(channel.doc == doc for channel in self._channels.values()):
            raise ValueError(f"{doc} is open already in this session")
        channel = Channel(self._next_channel, doc, create, wants_presence, self._next_ids.get(doc, 1))
        for frame in channel.joining():
            self._fits(frame)
        self._next_channel += 1
        self._channels[channel.number] = channel
        if self.is_welcome:
            self._say_all(channel.joining())
        return channel

    def leave(self, channel: Channel, error: CoagentError) -> None:
        if self._channels.pop(channel.number, None) is not None:
            channel.fail(error)
            self._next_ids[channel.doc] = channel.next_id
            if self.is_welcome:
                self._say({"type": "unsubscribe", "channel": channel.number})

    @property
    def has_room(self) -> bool:
        """Whether one more mutation may be in flight."""
        return sum(len(channel.waiting) for channel in self._channels.values()) < self._in_flight

    def mutate(self, channel: Channel, change: Frame) -> Mutation:
        mutation = Mutation(change)
        frame = channel.numbered(channel.next_id, mutation)
        self._fits(frame)
        channel.expect_life()
        channel.waiting[channel.next_id] = mutation
        channel.next_id += 1
        # While others wait to be sent again, this one comes after them.
        if self.is_welcome and channel.again_at is None:
            self._say(frame)
            mutation.was_sent = True
        return mutation

    def sit(self, channel: Channel, data: Any) -> None:
        channel.seat = data
        self._fits(channel.sitting())
        if self.is_welcome:
            self._say(channel.sitting())

    def hear(self, text: str, now: float) -> None:
        frame: Frame = parsed(text)
        kind = frame["type"]
        if kind == "welcome":
            self.connection_id = frame["connection_id"]
            self._frame_bytes = frame["limits"]["frame_bytes"]
            self._in_flight = frame["limits"]["in_flight"]
            self.retry_after = None
            for channel in self._alive():
                channel.again_at, channel.rejoins = now, True
        elif kind == "goaway":
            self.retry_after = frame["retry_ms"] / 1000
        elif kind == "error" and "channel" not in frame:
            self.fail(refusal({**frame, "detail": frame.get("message")}))
        elif (said_of := self._channels.get(frame.get("channel", 0))) is not None:
            said_of.hear(frame, now)

    def due(self, now: float) -> None:
        """Says again what is to be said again by now."""
        if self.is_welcome:
            for channel in self._alive():
                self._say_all(channel.due(now))

    def next_due(self) -> float | None:
        """When there will be something to say again."""
        times = [channel.again_at for channel in self._alive() if channel.again_at is not None]
        return min(times, default=None) if self.is_welcome else None

    def fail(self, error: CoagentError) -> None:
        """The conversation is over."""
        self.failure = self.failure or error
        for channel in self._channels.values():
            channel.fail(error)

    def _alive(self) -> list[Channel]:
        return [channel for channel in self._channels.values() if channel.failure is None]

    def _say_all(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self._say(frame)
            if frame["type"] == "mutate":
                self._channels[frame["channel"]].waiting[frame["mutation_id"]].was_sent = True

    def _say(self, frame: Frame) -> None:
        self._outgoing.append(encoded(frame).decode())

    def _fits(self, frame: Frame) -> None:
        size = len(encoded(frame))
        if size > self._frame_bytes:
            detail = f"a frame of {size} bytes; at most {self._frame_bytes} are taken"
            raise TooLarge("too_large", detail, {"limit_bytes": self._frame_bytes})


def parsed(text: str) -> Frame:
    try:
        frame = json.loads(text)
    except ValueError as error:
        raise ProtocolError(f"a frame that is not JSON: {error}") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise ProtocolError("a frame without a type")
    return frame
