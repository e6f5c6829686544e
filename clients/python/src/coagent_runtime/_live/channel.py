"""One document in a conversation: what was told of it, and which mutations wait for their answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import CoagentError, Indeterminate, Refused, Unavailable, refusal
from ..models import Position
from ..shape import Shape
from ..updates import Cursor, Gap, Snapshot, Update
from .numbers import Numbers

Frame = dict[str, Any]

# Updates beyond this many that nobody took become one snapshot.
KEPT = 1024

# Refusals that leave the number of their mutation free.
LATER = ("rate_limited", "overloaded", "unavailable")

# There is no such document; there may be one later.
GONE = ("not_found", "deleted")

# Nobody tells when a document that is gone is made again; it is looked for after this many seconds.
LOOK_AGAIN = 3.0

ABSENT: Any = object()


@dataclass(eq=False)
class Mutation:
    """A mutation until its caller has the answer."""

    change: Frame
    # Whether the connection was cut after it was sent: it may have been carried out.
    is_in_doubt: bool = False
    answer: Frame | None = None
    error: CoagentError | None = None
    # Who waits for this one, and is told of no other.
    settled: Callable[[], None] = lambda: None

    @property
    def is_settled(self) -> bool:
        return self.answer is not None or self.error is not None

    def settle(self, answer: Frame | None, error: CoagentError | None) -> None:
        self.answer, self.error = answer, error
        self.settled()

    @property
    def creates(self) -> bool:
        return "replace" in self.change and self.change.keys().isdisjoint(("base", "if_version", "dry_run"))


@dataclass
class Channel:
    """Mutations are sent in their order. When one has to wait, those behind it wait with it: once everything that was
    sent is answered, they are sent again from there."""

    number: int
    doc: str
    create: Any
    wants_presence: bool
    numbers: Numbers
    cursor: Cursor[Any] = field(default_factory=lambda: Cursor(Shape()))
    updates: deque[Update[Any]] = field(default_factory=deque)
    # Those that have no number yet.
    queued: deque[Mutation] = field(default_factory=deque)
    # Those that have one, in its order.
    waiting: dict[int, Mutation] = field(default_factory=dict)
    # Those among them that were sent on this connection and have no answer.
    in_flight: set[int] = field(default_factory=set)
    peers: dict[str, Any] = field(default_factory=dict)
    seat: Any = ABSENT
    is_live: bool = False
    # Whether the server has let this connection in.
    is_joined: bool = False
    failure: CoagentError | None = None
    # When the waiting mutations are to be sent again, and whether the channel has to be opened before.
    again_at: float | None = None
    rejoins: bool = False
    # The number that the server expects where it found a gap.
    expected: int | None = None
    is_forgotten: bool = False
    is_gone: bool = False
    # Whether `create` is to be said although the document was here before.
    begins_anew: bool = False
    # Whether the position is a version that the server has named.
    can_resume: bool = True

    def joining(self) -> Iterator[Frame]:
        """What opens the channel, from the version that is here."""
        frame: Frame = {"type": "subscribe", "channel": self.number, "doc": self.doc}
        position: Position | None = self.cursor.position
        if position is not None and self.can_resume:
            frame["since"] = {"epoch": position.epoch, "version": position.version}
        if (create := self._creation()) is not ABSENT:
            frame["create"] = create
        if self.wants_presence:
            frame["presence"] = True
        yield frame
        if self.seat is not ABSENT:
            yield self.sitting()

    def _creation(self) -> Any:
        if self.cursor.position is None or self.begins_anew:
            return self.create
        first = next(iter(self.waiting.values()), None)
        if self.is_gone and first is not None and first.creates:
            # It changes nothing then, and is acknowledged all the same.
            return first.change["replace"]
        return ABSENT

    def sitting(self) -> Frame:
        frame: Frame = {"type": "presence", "channel": self.number}
        return frame if self.seat is ABSENT else {**frame, "data": self.seat}

    @property
    def has_unsent(self) -> bool:
        """Whether there is a mutation to be sent now."""
        return self.is_joined and self.again_at is None and len(self.in_flight) < len(self.waiting)

    def next_mutation(self) -> Frame:
        """The next one to be sent; it is in flight from now on."""
        number = next(number for number in self.waiting if number not in self.in_flight)
        self.in_flight.add(number)
        return self.numbered(number, self.waiting[number])

    def numbered(self, number: int, mutation: Mutation) -> Frame:
        return {"type": "mutate", "channel": self.number, **self.numbers.members(number), **mutation.change}

    def admit(self) -> int:
        """Gives the mutation that waits longest its number; answers how many there were."""
        if not self.queued:
            return 0
        self.waiting[self.numbers.take()] = self.queued.popleft()
        if self.is_gone and self.again_at is not None:
            # Perhaps it is there again: the server is asked rather than remembered.
            self.again_at = 0.0
        return 1

    def due_at(self) -> float | None:
        """When something is to be said again; not before everything that was said is answered."""
        return None if self.in_flight else self.again_at

    def due(self, now: float) -> Iterator[Frame]:
        """What is to be said again by now."""
        due_at = self.due_at()
        if due_at is None or now < due_at:
            return
        self.again_at = None
        self._number_again()
        if self.rejoins:
            self.rejoins = self.is_joined = False
            yield from self.joining()

    def connected(self, now: float) -> None:
        self.again_at, self.rejoins = now, True

    def lost(self) -> None:
        for number in self.in_flight:
            self.waiting[number].is_in_doubt = True
        self.in_flight.clear()
        self.peers = {}
        self.is_joined = False
        self.again_at = None

    def hear(self, frame: Frame, now: float) -> None:
        kind = frame["type"]
        if kind in ("snapshot", "delta", "deleted"):
            self._let_in()
            self._update(frame, now)
        elif kind == "live":
            self._let_in()
            self.is_live = True
        elif kind in ("ack", "reject"):
            self._answered(frame, now)
        elif kind == "presence":
            self.peers = frame["peers"]
        elif kind == "error":
            self._error(frame, now)

    def _let_in(self) -> None:
        self.is_joined = True
        self.is_gone = self.begins_anew = False

    def _update(self, frame: Frame, now: float) -> None:
        update: Update[Any] | None
        try:
            if frame["type"] == "snapshot":
                self.can_resume = True
                update = self.cursor.snapshot(frame["epoch"], frame["version"], frame["data"], frame["reason"])
            elif frame["type"] == "delta":
                update = self.cursor.delta(frame)
            else:
                update = self.cursor.deleted(frame["version"])
        except Gap:
            self.again_at, self.rejoins = now, True
            return
        self._tell(update)

    def _tell(self, update: Update[Any] | None) -> None:
        if update is not None:
            self.updates.append(update)
        if len(self.updates) > KEPT:
            last = self.updates[-1]
            self.updates.clear()
            self.updates.append(last if last.data is None else Snapshot(last.position, last.data, "slow"))

    def _answered(self, frame: Frame, now: float) -> None:
        number = frame["mutation_id"]
        if number not in self.in_flight:
            return
        self.in_flight.discard(number)
        if frame["type"] == "ack":
            self._settle(number, answer=frame)
        else:
            self._rejected(number, frame, now)

    def _rejected(self, number: int, frame: Frame, now: float) -> None:
        code = frame["code"]
        if code == "mutation_gap":
            # Those that were sent behind one that has to wait, wait with it.
            self.expected = frame["expect"]
            self._wait_until(now)
        elif code == "client_unknown":
            self._forgotten(number, now)
        elif code == "unsubscribed":
            self.rejoins = True
            self._wait_until(now)
        elif code in LATER:
            self._wait_until(now + frame.get("retry_ms", 1000) / 1000)
        elif code == "storage_full":
            # Its number stays free for the next one.
            self.waiting.pop(number).settle(None, _refused(frame))
        else:
            self._settle(number, error=_refused(frame))

    def _wait_until(self, then: float) -> None:
        self.again_at = max(then, self.again_at or then)

    def _forgotten(self, number: int, now: float) -> None:
        """The server knows nothing of this mutation; it was asked behind an open one, or has forgotten who asks."""
        self._wait_until(now)
        mutation = self.waiting[number]
        if number != min(self.waiting):
            return
        if mutation.is_in_doubt and self.numbers.is_known:
            why = "the server has forgotten this session, and with it the answer"
            self._settle(number, error=Indeterminate(f"a mutation of {self.doc} was sent before a cut, and {why}"))
        else:
            self.is_forgotten = True

    def _number_again(self) -> None:
        """Nothing of what waits was carried out, as the server has said of each: it takes the numbers that are free."""
        if self.is_forgotten:
            self.numbers.anew()
            self._number_from(1)
        elif self.expected is not None and min(self.waiting, default=0) > self.expected:
            self._number_from(self.expected)
        self.expected, self.is_forgotten = None, False

    def _number_from(self, first: int) -> None:
        self.waiting = dict(enumerate(self.waiting.values(), first))
        self.numbers.next = first + len(self.waiting)
        for mutation in self.waiting.values():
            mutation.is_in_doubt = False

    def _error(self, frame: Frame, now: float) -> None:
        error = refusal({**frame, "detail": frame.get("message")})
        if isinstance(error, Unavailable) or frame["code"] in ("overloaded", "rate_limited"):
            self.rejoins = True
            self._wait_until(now + 1)
        elif frame["code"] in GONE and self.cursor.position is not None:
            self._gone(frame["code"], error, now)
        else:
            self.fail(error)

    def _gone(self, code: str, error: CoagentError, now: float) -> None:
        """The document that was here is none any more: begun again where the store has lost it, else looked for."""
        self.is_gone = self.rejoins = True
        self.is_joined = False
        self.peers = {}
        if code == "not_found" and self.create is not ABSENT and not self.begins_anew:
            self.begins_anew = True
            self.again_at = now
            return
        self.begins_anew = False
        self.again_at = now + LOOK_AGAIN
        self._end_all(error)
        deletion = self.cursor.gone()
        if deletion is not None:
            self.can_resume = False
            self._tell(deletion)

    def expect_life(self) -> None:
        if self.failure is not None:
            raise self.failure

    def fail(self, error: CoagentError) -> None:
        """Nothing more comes of this channel."""
        self.failure = self.failure or error
        self._end_all(error)

    def _end_all(self, error: CoagentError) -> None:
        """No mutation is answered any more; what may have been carried out is told from what was not."""
        lost = Indeterminate(f"a mutation of {self.doc} was sent, and no answer can come any more: {error}")
        ended, queued = self.waiting, self.queued
        doubtful = {number for number in ended if ended[number].is_in_doubt or number in self.in_flight}
        self.waiting, self.queued, self.in_flight = {}, deque(), set()
        if doubtful:
            # What still comes of those must not be taken for an answer to others.
            self.numbers.anew()
        else:
            self.numbers.next = min(ended, default=self.numbers.next)
        for number, mutation in ended.items():
            mutation.settle(None, lost if number in doubtful else error)
        for mutation in queued:
            mutation.settle(None, error)

    def _settle(self, number: int, answer: Frame | None = None, error: CoagentError | None = None) -> None:
        self.numbers.is_known = True
        self.waiting.pop(number).settle(answer, error)


def _refused(frame: Frame) -> Refused | Unavailable:
    return refusal({**frame, "detail": frame.get("message")})
