"""One run: looked at, waited for, cancelled."""

from __future__ import annotations

from .._calls import agents as calls
from .._calls.documents import Name
from ..runs import RunInfo
from ..shape import Shape
from .transport import AsyncTransport
from .watch import AsyncWatch


class AsyncRun:
    """A run, by the id that the runtime gave it."""

    def __init__(self, transport: AsyncTransport, id: str) -> None:
        self._transport = transport
        self.id = id

    async def get(self) -> RunInfo:
        """Where it stands, what caused it, what it used."""
        return await self._transport.execute(calls.run(self.id))

    async def cancel(self) -> RunInfo:
        """Ends it wherever it is; a run that is over stays what it is. Answers it as it is then."""
        return await self._transport.execute(calls.cancel(self.id))

    async def result(self, *, give_up_after: float | None = None) -> RunInfo:
        """The run when it is over, however long that takes; over cuts and restarts of the server."""
        record = Name("lifecycle", self.id, Shape[RunInfo](RunInfo))
        async with AsyncWatch(self._transport, record, None, give_up_after) as updates:
            async for update in updates:
                if update.data is not None and update.data.is_over:
                    break
        return await self.get()
