"""Several documents over one socket: followed, changed exactly once, and who else is there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from ssl import SSLContext
from types import TracebackType
from typing import Any, TypeVar, overload
from uuid import uuid4

from typing_extensions import Self

from .._http import Token, credentials
from .._live.channel import ABSENT
from .._live.conversation import Conversation
from .._socket import Closed, NotOpened, socket_url
from ..errors import CoagentError, ProtocolError, RateLimited, Unavailable
from ..retry import Lost, NotSent, Reconnects, Retry
from ..shape import Shape
from ..updates import Update
from .io import Condition, Socket, background, connect, finished, receive, send, wait
from .live import AsyncLiveDoc

S = TypeVar("S")


class AsyncSession:
    """A conversation over a socket that comes back by itself: `async with client.session() as session: …`.

    Where HTTP answers one question at a time, a session keeps documents at hand, sends mutations one after the other
    without waiting in between, applies each exactly once over any number of cuts, and knows who else is there.
    """

    def __init__(self, url: str, token: Token | None, retry: Retry, ssl: SSLContext | None) -> None:
        self._url = socket_url(url)
        self._token = token
        self._retry = retry
        self._ssl = ssl
        self._conversation = Conversation(uuid4().hex)
        self._changed = Condition()
        self._sending = Condition()
        self._socket: Socket | None = None
        self._docs: dict[int, AsyncLiveDoc[Any]] = {}
        self._is_closing = False

    @property
    def connection_id(self) -> str | None:
        """What this session is called in `peers`, while it is connected."""
        return self._conversation.connection_id

    async def __aenter__(self) -> Self:
        self._working = background(self._work)
        try:
            await self.until(lambda: self._conversation.is_welcome or self._is_over(), None)
            self._expect_life()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends it. Mutations that were sent and are not answered are `Indeterminate` then."""
        async with self._changed:
            self._is_closing = True
            self._conversation.fail(Unavailable("the session is closed"))
            self._changed.notify_all()
            socket = self._socket
        if socket is not None:
            await socket.close()
        await finished(self._working)

    @overload
    async def open(self, type: str, id: str, *, create: Any = ..., presence: bool = ...) -> AsyncLiveDoc[Any]: ...
    @overload
    async def open(
        self, type: str, id: str, model: type[S], *, create: S = ..., presence: bool = ...
    ) -> AsyncLiveDoc[S]: ...
    async def open(
        self, type: str, id: str, model: Any = Any, *, create: Any = ABSENT, presence: bool = False
    ) -> AsyncLiveDoc[Any]:
        """Opens a document, once in a session; where there is none it begins as `create`, if that is given.

        That goes for a document that the store has lost too. One that is deleted is told so, and followed when somebody
        creates it again.

        With `presence`, `peers` says who is there.
        """
        shape: Shape[Any] = Shape(model)
        initial = create if create is ABSENT else shape.write(create)
        async with self._changed:
            self._expect_life()
            channel = self._conversation.open(f"{type}/{id}", initial, presence)
        doc = AsyncLiveDoc(self, channel, shape)
        self._docs[channel.number] = doc
        try:
            await self.flush()
            await self.until(lambda: channel.is_live or channel.failure is not None, None)
            channel.expect_life()
        except BaseException:
            await doc.leave()
            raise
        return doc

    async def updates(self) -> AsyncIterator[tuple[AsyncLiveDoc[Any], Update[Any]]]:
        """The updates of all documents of the session, each with its document; those opened meanwhile are among them.

        Each version comes once and in order, here or where the document itself is iterated. What ends a document is
        raised; once it is left, the others can be gone on with.
        """
        while True:
            await self.until(lambda: self._is_over() or any(doc.has_news for doc in self._docs.values()), None)
            async with self._changed:
                told = self._take()
            if told is not None:
                yield told
            else:
                self._expect_life()

    def _take(self) -> tuple[AsyncLiveDoc[Any], Update[Any]] | None:
        for number, doc in self._docs.items():
            if (update := doc.take()) is not None:
                # The others are next, however much there is to tell of this one.
                self._docs[number] = self._docs.pop(number)
                return doc, update
        return None

    def conversation(self) -> Conversation:
        return self._conversation

    def left(self, number: int) -> None:
        """The document of this channel is of this session no more."""
        self._docs.pop(number, None)

    def locked(self) -> Condition:
        """Held by whoever changes the conversation."""
        return self._changed

    async def until(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Waits for something to come about; whether it did in time."""
        async with self._changed:
            return await wait(self._changed, done, timeout)

    async def flush(self) -> None:
        """Sends what is to be sent, in order."""
        async with self._sending:
            while True:
                async with self._changed:
                    # Together, so that nothing said on one connection is sent on the next one.
                    now = time.monotonic()
                    socket, frame = self._socket, self._conversation.next_frame(now)
                if socket is None or frame is None:
                    return
                try:
                    await send(socket, frame)
                except Closed:
                    # Whoever receives notices too, and says everything again on the next connection.
                    return

    def _expect_life(self) -> None:
        if self._conversation.failure is not None:
            raise self._conversation.failure

    def _is_over(self) -> bool:
        return self._is_closing or self._conversation.failure is not None

    async def _work(self) -> None:
        try:
            await self._converse()
        except CoagentError as error:
            await self._fail(error)
        except Exception as error:
            broken = ProtocolError(f"the session cannot go on: {error!r}")
            broken.__cause__ = error
            await self._fail(broken)

    async def _fail(self, error: CoagentError) -> None:
        async with self._changed:
            self._conversation.fail(error)
            self._changed.notify_all()

    async def _converse(self) -> None:
        """One connection after the other, until the end."""
        reconnects = Reconnects(self._retry, None)
        while not self._is_over():
            failure: NotSent | Lost | RateLimited | Unavailable = Lost("the connection ended")
            try:
                async with connect(self._url, credentials(self._token), self._ssl) as socket:
                    await self._listen(socket, reconnects)
            except NotOpened as refused:
                if not isinstance(refused.failure, NotSent | RateLimited | Unavailable):
                    raise refused.failure from None
                failure = refused.failure
            except Closed as closed:
                if closed.error is not None:
                    raise closed.error from None
            finally:
                await self._let_go()
            if not self._is_over():
                patience = reconnects.after(failure, time.monotonic())
                await self.until(self._is_over, max(patience, self._conversation.retry_after or 0.0))

    async def _let_go(self) -> None:
        async with self._changed:
            self._socket = None
            self._conversation.lost()
            self._changed.notify_all()

    async def _listen(self, socket: Socket, reconnects: Reconnects) -> None:
        """Hears what is said on this connection and says what is due."""
        async with self._changed:
            self._socket = socket
            self._conversation.connected()
        while not self._is_over():
            await self.flush()
            async with self._changed:
                due = self._conversation.next_due()
            message = await receive(socket, None if due is None else max(0.0, due - time.monotonic()))
            now = time.monotonic()
            async with self._changed:
                if message is not None:
                    self._conversation.hear(message if isinstance(message, str) else message.decode(), now)
                    reconnects.heard(now)
                self._changed.notify_all()
