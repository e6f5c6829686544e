"""The front door: documents, agents and runs of one runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from ssl import SSLContext
from types import TracebackType
from typing import Any, TypeVar, overload

import httpx
from typing_extensions import Self

from .._call import query_of
from .._calls import agents as agent_calls
from .._calls import collection as calls
from .._calls.documents import Name
from .._http import Token, base_url, timeouts
from ..errors import StreamLost
from ..models import BatchWritten, DocumentInfo, DocumentType, Imported, Page
from ..retry import Retry
from ..runs import AgentInfo, RunInfo
from ..shape import Shape
from .agent import AsyncAgent
from .document import AsyncStateDoc
from .run import AsyncRun
from .session import AsyncSession
from .transport import AsyncTransport, Cut

S = TypeVar("S")


class AsyncClient:
    """A client of one runtime, to be used by any number of tasks.

    `url` is `COAGENT_URL` or `http://127.0.0.1:7070` if none is given. `token` is sent as bearer; a function is asked
    for each call. `timeout` is in seconds without progress. `http` brings TLS, proxies and the like; closing it stays
    yours.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: Token | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._owns_http = http is None
        http = http or httpx.AsyncClient(timeout=timeouts(timeout))
        self._transport = AsyncTransport(http, base_url(url), token, retry or Retry())

    @property
    def url(self) -> str:
        return self._transport.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        if self._owns_http:
            await self._transport.close()

    @overload
    def state(self, type: str, id: str) -> AsyncStateDoc[Any]: ...
    @overload
    def state(self, type: str, id: str, model: type[S]) -> AsyncStateDoc[S]: ...
    def state(self, type: str, id: str, model: Any = Any) -> AsyncStateDoc[Any]:
        """The document `type/id`; with `model` (pydantic or another type) its data is read and written as that."""
        return AsyncStateDoc(self._transport, Name(type, id, Shape(model)))

    async def list_documents(
        self,
        type: str | None = None,
        *,
        prefix: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[DocumentInfo]:
        """A page of the documents there are, by type and by the beginning of their ids."""
        return await self._transport.execute(calls.page(type, prefix, limit, cursor))

    async def documents(
        self, type: str | None = None, *, prefix: str | None = None, page_size: int | None = None
    ) -> AsyncIterator[DocumentInfo]:
        """All of them, read page by page."""
        cursor: str | None = None
        while True:
            page = await self.list_documents(type, prefix=prefix, limit=page_size, cursor=cursor)
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def batch(
        self,
        mutations: Iterable[Mapping[str, Any]],
        *,
        reason: str | None = None,
        run_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> BatchWritten:
        """Writes several documents, all or nothing.

        A mutation is `{"doc": "type/id"}` with one of `patch`, `merge`, `replace`, `intents`, and perhaps `base`,
        `if_version`, `create`. A refusal names the one it is about by its `index`.
        """
        return await self._transport.execute(calls.batch(mutations, reason, run_id, idempotency_key))

    async def export(
        self, type: str | None = None, *, prefix: str | None = None, secrets: bool = False
    ) -> AsyncIterator[bytes]:
        """Documents with their histories and tags, deleted ones too, as lines of JSON: for a file, or `restore`.

        An export that breaks off is `StreamLost`; what came of it until then is not whole.
        """
        query = query_of(type=type, prefix=prefix, secrets=secrets)
        line = b""
        try:
            async with self._transport.lines(calls.EXPORT, query) as lines:
                async for line in lines:
                    yield line
        except Cut as cut:
            raise StreamLost(f"the export broke off: {cut}") from cut
        if not calls.is_end(line):
            raise StreamLost("the export ended before its end")

    async def restore(self, lines: bytes | Iterable[bytes], *, skip_existing: bool = False) -> Imported:
        """Brings an export back: each document whole, with its history, in a new epoch; or not at all.

        Documents that exist are refused with `AlreadyExists`, or left alone with `skip_existing`.
        """
        whole = lines if isinstance(lines, bytes) else b"".join(lines)
        return await self._transport.execute(calls.imported(whole, skip_existing))

    async def agents(self) -> tuple[AgentInfo, ...]:
        """All agents, with their status and the errors of their definitions."""
        return await self._transport.execute(agent_calls.agents())

    def agent(self, id: str) -> AsyncAgent:
        """The agent of this id."""
        return AsyncAgent(self._transport, id)

    def run(self, run_id: str) -> AsyncRun:
        """The run of this id."""
        return AsyncRun(self._transport, run_id)

    async def list_runs(
        self,
        *,
        agent: str | None = None,
        status: str | None = None,
        thread: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[RunInfo]:
        """A page of runs, the newest first."""
        return await self._transport.execute(agent_calls.page(agent, status, thread, limit, cursor))

    async def runs(
        self,
        *,
        agent: str | None = None,
        status: str | None = None,
        thread: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[RunInfo]:
        """All of them, read page by page."""
        cursor: str | None = None
        while True:
            page = await self.list_runs(agent=agent, status=status, thread=thread, limit=page_size, cursor=cursor)
            for run in page.items:
                yield run
            cursor = page.next_cursor
            if cursor is None:
                return

    def session(self, *, ssl: SSLContext | None = None) -> AsyncSession:
        """A conversation over one WebSocket, for several documents at once; `ssl` where the default will not do."""
        return AsyncSession(self._transport.url, self._transport.token, self._transport.retry, ssl)

    async def types(self) -> tuple[DocumentType, ...]:
        """The declared types of documents."""
        return await self._transport.execute(calls.types())

    async def schema(self, type: str) -> Any:
        """The JSON Schema of a type."""
        return await self._transport.execute(calls.schema(type))

    async def models(self, type: str) -> str:
        """A Python module with pydantic models for the documents of a type."""
        return await self._transport.execute(calls.models(type))
