"""Calls and streams over one pool of connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx

from .._call import Answer, Call
from .._http import Token, credentials, failed, judged, refused, request_headers, wire_headers
from .._sse import Parser, ServerEvent
from ..errors import ProtocolError, Refused, Unavailable
from ..retry import Attempts, Lost, NotSent, Retry
from .io import sleep

T = TypeVar("T")

# The server fills a silence of 15 seconds with a comment: one that is twice as long is a dead connection.
SILENCE = 35.0


class Cut(Exception):
    """A stream could not be opened or broke off; it may be asked for again."""

    def __init__(self, failure: NotSent | Lost) -> None:
        super().__init__(failure.why)
        self.failure = failure


class AsyncTransport:
    def __init__(self, http: httpx.AsyncClient, url: str, token: Token | None, retry: Retry) -> None:
        self.url = url
        self.token = token
        self.retry = retry
        self._http = http

    async def execute(self, call: Call[T]) -> T:
        """The call's outcome, asked for again as long as that is safe and sensible."""
        attempts = Attempts(call, self.retry)
        while True:
            outcome = await self._attempt(call)
            if isinstance(outcome, Answer):
                return call.outcome(outcome)
            await sleep(attempts.after(outcome))

    async def _attempt(self, call: Call[Any]) -> Answer | Refused | Unavailable | NotSent | Lost:
        try:
            response = await self._http.request(
                call.method,
                self.url + call.path,
                params=call.query or None,
                headers=request_headers(call, self.token),
                content=call.body,
            )
        except httpx.TransportError as error:
            return failed(error)
        return judged(response)

    @asynccontextmanager
    async def events(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> AsyncIterator[AsyncIterator[ServerEvent]]:
        """One stream of server-sent events. A refusal is raised as it is, a broken connection as `Cut`."""
        said = {"Accept": "text/event-stream", **credentials(self.token), **headers}
        try:
            async with self._http.stream(
                method,
                self.url + path,
                params=query or None,
                headers=wire_headers(said),
                content=body,
                timeout=httpx.Timeout(SILENCE, connect=5.0),
            ) as response:
                await _expect_events(response)
                yield _parsed(response)
        except httpx.TransportError as error:
            raise Cut(failed(error)) from error

    @asynccontextmanager
    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """An answer of many lines, as they come. A refusal is raised as it is, a broken connection as `Cut`."""
        said = wire_headers(credentials(self.token))
        try:
            async with self._http.stream("GET", self.url + path, params=query or None, headers=said) as response:
                if not response.is_success:
                    failure = refused(response.status_code, response.headers, await response.aread())
                    raise Cut(failure) if isinstance(failure, Lost) else failure
                yield _lines(response)
        except httpx.TransportError as error:
            raise Cut(failed(error)) from error

    async def close(self) -> None:
        await self._http.aclose()


async def _expect_events(response: httpx.Response) -> None:
    if response.is_success and response.headers.get("content-type", "").startswith("text/event-stream"):
        return
    body = await response.aread()
    if response.is_success:
        raise ProtocolError(f"{response.url} answered no stream of events")
    failure = refused(response.status_code, response.headers, body)
    raise Cut(failure) if isinstance(failure, Lost) else failure


async def _parsed(response: httpx.Response) -> AsyncIterator[ServerEvent]:
    parser = Parser()
    async for piece in response.aiter_bytes():
        for event in parser.feed(piece):
            yield event


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Whole lines, with their ends."""
    rest: list[bytes] = []
    async for piece in response.aiter_bytes():
        *whole, last = piece.split(b"\n")
        for line in whole:
            yield b"".join([*rest, line, b"\n"])
            rest.clear()
        rest.append(last)
    if any(rest):
        yield b"".join(rest)
