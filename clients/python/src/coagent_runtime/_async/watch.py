"""A document followed live, over every cut of the connection and every restart of the server."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Generic, TypeVar

from typing_extensions import Self

from .._calls import documents as calls
from .._calls.documents import Name
from .._sse import ServerEvent
from ..errors import Deleted, RateLimited, Unavailable, VersionNotFound
from ..models import Position
from ..retry import Lost, NotSent, Reconnects
from ..shape import Shape
from ..updates import Cursor, Gap, Update
from .io import sleep
from .transport import AsyncTransport, Cut

S = TypeVar("S")


class AsyncWatch(Generic[S]):
    """The updates of a document, each version once: `async for update in doc.watch(): …`.

    Leave it through `async with` to close its connection at once.
    """

    def __init__(
        self, transport: AsyncTransport, name: Name[S], since: Position | None, give_up_after: float | None
    ) -> None:
        self._transport = transport
        self._name = name
        self._cursor = Cursor(name.shape)
        self._resume = since
        self._reconnects = Reconnects(transport.retry, give_up_after)
        self._updates = self._all()

    @property
    def position(self) -> Position | None:
        """The last version that was told; give it to `watch(since=…)` to go on there, in another process too."""
        return self._cursor.position

    def __aiter__(self) -> AsyncIterator[Update[S]]:
        return self

    async def __anext__(self) -> Update[S]:
        return await self._updates.__anext__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._updates.aclose()

    async def _all(self) -> AsyncGenerator[Update[S], None]:
        if self._resume is not None:
            await self._recall(self._resume)
        while True:
            failure: NotSent | Lost | RateLimited | Unavailable = Lost("the stream ended")
            try:
                async with self._transport.events("GET", f"{self._name.path}/events", {}, self._headers()) as events:
                    async for event in events:
                        update = self._read(event)
                        self._reconnects.heard(time.monotonic())
                        if update is not None:
                            yield update
            except Gap:
                self._resume = None
            except Cut as cut:
                failure = cut.failure
            except (RateLimited, Unavailable) as refusal:
                failure = refusal
            except Deleted as gone:
                if self._cursor.position is None:
                    raise
                # It may be created again: its versions go on, and so does this.
                deletion = self._cursor.deleted(gone.version or 0)
                if deletion is not None:
                    yield deletion
            await sleep(self._reconnects.after(failure, time.monotonic()))

    def _headers(self) -> dict[str, str]:
        position = self._cursor.position or self._resume
        return {} if position is None else {"Last-Event-ID": f"{position.epoch}.{position.version}"}

    def _read(self, event: ServerEvent) -> Update[S] | None:
        said = json.loads(event.data)
        if event.event == "snapshot":
            return self._cursor.snapshot(said["epoch"], said["version"], said["data"], said["reason"])
        if event.event == "delta":
            return self._cursor.delta(said)
        if event.event == "deleted":
            return self._cursor.deleted(said["version"])
        # One that this version does not know.
        return None

    async def _recall(self, since: Position) -> None:
        """Deltas need the document that they change."""
        plain: Name[object] = Name(self._name.type, self._name.id, Shape())
        try:
            then = await self._transport.execute(calls.get(plain, since.version, secrets=False))
        except VersionNotFound:
            # What is left of it comes as a snapshot that says why.
            return
        except Deleted:
            self._cursor = Cursor(self._name.shape, since, {})
            return
        if then.epoch == since.epoch:
            self._cursor = Cursor(self._name.shape, since, then.data)
