"""A conversation with the server that outlives its connections."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from math import inf
from typing import Any

from .._call import encoded
from ..errors import CoagentError, ProtocolError, TooLarge, refusal
from .channel import Channel, Frame, Mutation
from .numbers import Numbers
from .pace import Pace

# Before the server has said what it takes.
FRAME_BYTES = 1 << 20
IN_FLIGHT = 100

# As long as any that a mutation may come to have.
_SOME_NUMBER = 1 << 40


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
        self._numbers: dict[str, Numbers] = {}
        # Whose mutation is to have a number next, by the order of the calls.
        self._line: deque[Channel] = deque()
        self._frame_bytes = FRAME_BYTES
        self._in_flight = IN_FLIGHT
        self._pace = Pace(inf, 0.0)
        self._is_paced = False

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
            channel.lost()

    def next_frame(self, now: float) -> str | None:
        """What is to be said next, if anything is by now."""
        self._say_due(now)
        if not self._outgoing and (frame := self._next_mutation(now)) is not None:
            self._say(frame)
        return self._outgoing.popleft() if self._outgoing else None

    def _next_mutation(self, now: float) -> Frame | None:
        channel = next((channel for channel in self._channels.values() if channel.has_unsent), None)
        # Where nothing is in flight no answer would wake whoever waits for the pace: the server says how long it takes.
        self._is_paced = channel is not None and not self._pace.take(now) and self._is_in_flight
        return None if channel is None or self._is_paced else channel.next_mutation()

    @property
    def _is_in_flight(self) -> bool:
        return any(channel.in_flight for channel in self._channels.values())

    def open(self, doc: str, create: Any, wants_presence: bool) -> Channel:
        if any(channel.doc == doc for channel in self._channels.values()):
            raise ValueError(f"{doc} is open already in this session")
        channel = Channel(self._next_channel, doc, create, wants_presence, self._numbers.pop(doc, Numbers()))
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
            self._numbers[channel.doc] = channel.numbers
            self._admit()
            if self.is_welcome:
                self._say({"type": "unsubscribe", "channel": channel.number})

    def mutate(self, channel: Channel, change: Frame) -> Mutation:
        """Puts a mutation behind those of earlier calls."""
        mutation = Mutation(change)
        self._fits(channel.numbered(_SOME_NUMBER, mutation) | {"client_id": self.client_id})
        channel.expect_life()
        channel.queued.append(mutation)
        self._line.append(channel)
        self._admit()
        return mutation

    def withdraw(self, channel: Channel, mutation: Mutation) -> bool:
        """Takes back a mutation for which there was no room so far; answers whether it was one."""
        if mutation not in channel.queued:
            return False
        channel.queued.remove(mutation)
        return True

    def _admit(self) -> None:
        """No more wait for their answers than the server takes."""
        room = self._in_flight - sum(len(channel.waiting) for channel in self._channels.values())
        while self._line and room > 0:
            room -= self._line.popleft().admit()

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
            self._pace = Pace(frame["limits"].get("mutations_per_second", inf), now)
            self.retry_after = None
            for channel in self._alive():
                channel.connected(now)
        elif kind == "goaway":
            self.retry_after = frame["retry_ms"] / 1000
        elif kind == "error" and "channel" not in frame:
            self.fail(refusal({**frame, "detail": frame.get("message")}))
        elif (said_of := self._channels.get(frame.get("channel", 0))) is not None:
            if frame.get("code") == "rate_limited":
                self._pace.drain(now)
            said_of.hear(frame, now)
        self._admit()

    def _say_due(self, now: float) -> None:
        if self.is_welcome:
            for channel in self._alive():
                self._say_all(channel.due(now))

    def next_due(self) -> float | None:
        """When there will be something to say that nobody asks for."""
        times = [at for channel in self._alive() if (at := channel.due_at()) is not None]
        if self._is_paced:
            times.append(self._pace.next_at())
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
