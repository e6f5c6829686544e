# Written by unasync.py from _async/run.py: change that one.
"""One run: looked at, followed, waited for, cancelled."""

from __future__ import annotations

import time
from collections.abc import Generator

from .._calls import agents as calls
from .._calls.documents import Name
from .._events import Follower
from ..errors import RateLimited, Unavailable
from ..retry import Lost, NotSent, Reconnects
from ..runs import AgentEvent, RunInfo
from ..shape import Shape
from .io import sleep
from .transport import Cut, Transport
from .watch import Watch


class Run:
    """A run, by the id that the runtime gave it."""

    def __init__(self, transport: Transport, id: str) -> None:
        self._transport = transport
        self.id = id

    def get(self) -> RunInfo:
        """Where it stands, what caused it, what it used."""
        return self._transport.execute(calls.run(self.id))

    def cancel(self) -> RunInfo:
        """Ends it wherever it is; a run that is over stays what it is. Answers it as it is then."""
        return self._transport.execute(calls.cancel(self.id))

    def follow(
        self, *, after: str | None = None, give_up_after: float | None = None
    ) -> Generator[AgentEvent, None, None]:
        """Its events from the beginning, or after one with an id, up to its end; over cuts and restarts of the server.

        No event is missing and no text comes twice; after a cut the state comes anew, as a `STATE_SNAPSHOT`. Of a run
        that ended more than ten minutes ago all comes again, from `RUN_STARTED` on. One that never began has no events.
        """
        follower = Follower(after)
        reconnects = Reconnects(self._transport.retry, give_up_after)
        while True:
            failure: NotSent | Lost | RateLimited | Unavailable = Lost("the stream ended")
            try:
                path = f"{calls.run_path(self.id)}/events"
                with self._transport.events("GET", path, {}, follower.resumes()) as events:
                    for event in events:
                        reconnects.heard(time.monotonic())
                        told = follower.take(event)
                        if told is not None:
                            yield told
                            if told.is_terminal:
                                return
                # Whole, and without an end: the run never began, or its server has stopped.
                if (self.get()).is_over:
                    return
            except Cut as cut:
                failure = cut.failure
            except (RateLimited, Unavailable) as refusal:
                failure = refusal
            sleep(reconnects.after(failure, time.monotonic()))

    def result(self, *, give_up_after: float | None = None) -> RunInfo:
        """The run when it is over, however long that takes; over cuts and restarts of the server."""
        record = Name("lifecycle", self.id, Shape[RunInfo](RunInfo))
        with Watch(self._transport, record, None, give_up_after) as updates:
            for update in updates:
                if update.data is not None and update.data.is_over:
                    break
        return self.get()
