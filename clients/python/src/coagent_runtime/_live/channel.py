"""One document in a conversation: what was told of it, and which mutations wait for their answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import CoagentError, Indeterminate, Refused, Unavailable, refusal
from ..models import Position
from ..shape import Shape
from ..updates import Cursor, Gap, Snapshot, Update

Frame = dict[str, Any]

# Updates beyond this many that nobody took become one snapshot.
KEPT = 1024

# Refusals that leave the number of their mutation free.
LATER = ("rate_limited", "overloaded", "unavailable")

ABSENT: Any = object()


@dataclass
class Mutation:
    """A mutation until its caller has the answer."""

    change: Frame
    was_sent: bool = False
    answer: Frame | None = None
    error: CoagentError | None = None

    @property
    def is_settled(self) -> bool:
        return self.answer is not None or self.error is not None


@dataclass
class Channel:
    number: int
    doc: str
    create: Any
    wants_presence: bool
    # The number of the document's next mutation.
    next_id: int
    cursor: Cursor[Any] = field(default_factory=lambda: Cursor(Shape()))
    updates: deque[Update[Any]] = field(default_factory=deque)
    waiting: dict[int, Mutation] = field(default_factory=dict)
    peers: dict[str, Any] = field(default_factory=dict)
    seat: Any = ABSENT
    is_live: bool = False
    failure: CoagentError | None = None
    # When the waiting mutations are to be sent again, and whether the channel has to be opened before.
    again_at: float | None = None
    rejoins: bool = False

    def joining(self) -> Iterator[Frame]:
        """What opens the channel, from the version that is here."""
        frame: Frame = {"type": "subscribe", "channel": self.number, "doc": self.doc}
        position: Position | None = self.cursor.position
        if position is not None:
            frame["since"] = {"epoch": position.epoch, "version": position.version}
        elif self.create is not ABSENT:
            frame["create"] = self.create
        if self.wants_presence:
            frame["presence"] = True
        yield frame
        if self.seat is not ABSENT:
            yield self.sitting()

    def sitting(self) -> Frame:
        frame: Frame = {"type": "presence", "channel": self.number}
        return frame if self.seat is ABSENT else {**frame, "data": self.seat}

    def mutating(self) -> Iterator[Frame]:
        """All mutations without an answer, in their order: one that was applied is answered as before."""
        for mutation_id, mutation in sorted(self.waiting.items()):
            yield self.numbered(mutation_id, mutation)

    def numbered(self, mutation_id: int, mutation: Mutation) -> Frame:
        return {"type": "mutate", "channel": self.number, "mutation_id": mutation_id, **mutation.change}

    def due(self, now: float) -> Iterator[Frame]:
        """What is to be said again by now."""
        if self.again_at is None or now < self.again_at:
            return
        self.again_at = None
        if self.rejoins:
            self.rejoins = False
            yield from self.joining()
        yield from self.mutating()

    def hear(self, frame: Frame, now: float) -> None:
        kind = frame["type"]
        if kind in ("snapshot", "delta", "deleted"):
            self._update(frame, now)
        elif kind == "live":
            self.is_live = True
        elif kind == "ack":
            self._settle(frame["mutation_id"], answer=frame)
        elif kind == "reject":
            self._rejected(frame, now)
        elif kind == "presence":
            self.peers = frame["peers"]
        elif kind == "error":
            self._error(frame, now)

    def _update(self, frame: Frame, now: float) -> None:
        update: Update[Any] | None
        try:
            if frame["type"] == "snapshot":
                update = self.cursor.snapshot(frame["epoch"], frame["version"], frame["data"], frame["reason"])
            elif frame["type"] == "delta":
                update = self.cursor.delta(frame)
            else:
                update = self.cursor.deleted(frame["version"])
        except Gap:
            self.again_at, self.rejoins = now, True
            return
        if update is not None:
            self.updates.append(update)
        if len(self.updates) > KEPT:
            last = self.updates[-1]
            self.updates.clear()
            self.updates.append(last if last.data is None else Snapshot(last.position, last.data, "slow"))

    def _rejected(self, frame: Frame, now: float) -> None:
        mutation_id, code = frame["mutation_id"], frame["code"]
        if code == "mutation_gap":
            self._close_gap(frame["expect"])
            # Those that were sent behind one that has to wait, wait with it.
            self.again_at = now if self.again_at is None else self.again_at
        elif code == "unsubscribed":
            self.again_at, self.rejoins = now, True
        elif code in LATER:
            self.again_at = now + frame.get("retry_ms", 1000) / 1000
        else:
            self._settle(mutation_id, error=_refused(frame))

    def _close_gap(self, expected: int) -> None:
        """Nothing from `expected` on was applied: the waiting mutations take these numbers."""
        first = min(self.waiting, default=expected)
        if first > expected:
            moved = [mutation for _, mutation in sorted(self.waiting.items())]
            self.waiting = dict(enumerate(moved, expected))
            self.next_id = expected + len(moved)

    def _error(self, frame: Frame, now: float) -> None:
        error = refusal({**frame, "detail": frame.get("message")})
        if isinstance(error, Unavailable) or frame["code"] in ("overloaded", "rate_limited"):
            self.again_at, self.rejoins = now + 1, True
            return
        if frame["code"] == "deleted" and self.cursor.position is not None and frame.get("version") is not None:
            self._update({"type": "deleted", "version": frame["version"]}, now)
        self.fail(error)

    def expect_life(self) -> None:
        if self.failure is not None:
            raise self.failure

    def fail(self, error: CoagentError) -> None:
        """Nothing more comes of this channel."""
        self.failure = self.failure or error
        for mutation_id, mutation in list(self.waiting.items()):
            lost = Indeterminate(f"a mutation of {self.doc} was sent, and no answer can come any more: {error}")
            self._settle(mutation_id, error=lost if mutation.was_sent else error)

    def _settle(self, mutation_id: int, answer: Frame | None = None, error: CoagentError | None = None) -> None:
        mutation = self.waiting.pop(mutation_id, None)
        if mutation is not None:
            mutation.answer, mutation.error = answer, error


def _refused(frame: Frame) -> Refused | Unavailable:
    return refusal({**frame, "detail": frame.get("message")})
