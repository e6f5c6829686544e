# Written by unasync.py from _async/agent.py: change that one.
"""One agent: looked at, started, run."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from .._call import JSON
from .._calls import agents as calls
from .._calls.agents import Message
from .._events import read
from ..errors import Indeterminate, StreamLost, Unavailable
from ..retry import NotSent
from ..runs import AgentEvent, AgentInfo, Started
from .transport import Cut, Transport


class Agent:
    """An agent of the runtime, which may or may not exist. Making one asks the server nothing."""

    def __init__(self, transport: Transport, id: str) -> None:
        self._transport = transport
        self.id = id

    def info(self) -> AgentInfo:
        """What it is, and what is wrong with its definition."""
        return self._transport.execute(calls.agent(self.id))

    def pause(self) -> AgentInfo:
        """Has it take no further runs until it is resumed, over restarts too; those at work go on. Answers it then."""
        return self._transport.execute(calls.pause(self.id))

    def resume(self) -> AgentInfo:
        """Has it take runs again, those that wait too. Answers it as it is then."""
        return self._transport.execute(calls.resume(self.id))

    def capabilities(self) -> dict[str, Any]:
        """What it says it can do, as AG-UI has it."""
        return self._transport.execute(calls.capabilities(self.id))

    def start(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] = (),
        thread_id: str | None = None,
        state: Any = None,
        idempotency_key: str | None = None,
    ) -> Started:
        """Starts a run, on a new thread if none is named, and returns when it is stored: it happens whoever waits.

        `messages` are AG-UI messages, `prompt` is one more of the user's. `client.run(started.run_id)` follows it.
        """
        return self._transport.execute(calls.start(self.id, prompt, messages, thread_id, state, idempotency_key))

    def stream(
        self,
        prompt: str | None = None,
        *,
        messages: Sequence[Message] = (),
        thread_id: str | None = None,
        run_id: str | None = None,
        state: Any = None,
        tools: Sequence[Mapping[str, Any]] = (),
        context: Sequence[Mapping[str, Any]] = (),
        forwarded_props: Mapping[str, Any] | None = None,
    ) -> Generator[AgentEvent, None, None]:
        """Runs it as an AG-UI client does: the events of the run, up to its end.

        The run outlives this stream: one that is cut is `StreamLost`. To go on over cuts, `start` it and follow.
        """
        body = calls.input_of(prompt, messages, thread_id, run_id, state, tools, context, forwarded_props)
        said = {"Content-Type": JSON}
        has_begun = False
        try:
            with self._transport.events("POST", calls.path(self.id), {}, said, body) as events:
                for event in events:
                    told = read(event)
                    has_begun = True
                    yield told
                    if told.is_terminal:
                        return
            raise StreamLost(f"the stream of a run of {self.id} ended before the run did; the run goes on")
        except Cut as cut:
            if has_begun:
                raise StreamLost(f"the stream of a run of {self.id} broke off; the run goes on: {cut}") from cut
            if isinstance(cut.failure, NotSent):
                raise Unavailable(f"{self.id} was not reached: {cut}") from cut
            raise Indeterminate(f"a run of {self.id} was asked for, and no answer came: {cut}") from cut
