# Written by unasync.py from _async/transport.py: change that one.
"""Calls and streams over one pool of connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


class Transport:
    def __init__(self, http: httpx.Client, url: str, token: Token | None, retry: Retry) -> None:
        self.url = url
        self.token = token
        self.retry = retry
        self._http = http

    def execute(self, call: Call[T]) -> T:
        """The call's outcome, asked for again as long as that is safe and sensible."""
        attempts = Attempts(call, self.retry)
        while True:
            outcome = self._attempt(call)
            if isinstance(outcome, Answer):
                return call.outcome(outcome)
            sleep(attempts.after(outcome))

    def _attempt(self, call: Call[Any]) -> Answer | Refused | Unavailable | NotSent | Lost:
        try:
            response = self._http.request(
                call.method,
                self.url + call.path,
                params=call.query or None,
                headers=request_headers(call, self.token),
                content=call.body,
            )
        except httpx.TransportError as error:
            return failed(error)
        return judged(response)

    @contextmanager
    def events(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Iterator[Iterator[ServerEvent]]:
        """One stream of server-sent events. A refusal is raised as it is, a broken connection as `Cut`."""
        said = {"Accept": "text/event-stream", **credentials(self.token), **headers}
        try:
            with self._http.stream(
                method,
                self.url + path,
                params=query or None,
                headers=wire_headers(said),
                content=body,
                timeout=httpx.Timeout(SILENCE, connect=5.0),
            ) as response:
                _expect_events(response)
                yield _parsed(response)
        except httpx.TransportError as error:
            raise Cut(failed(error)) from error

    @contextmanager
    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        """An answer of many lines, as they come. A refusal is raised as it is, a broken connection as `Cut`."""
        said = wire_headers(credentials(self.token))
        try:
            with self._http.stream("GET", self.url + path, params=query or None, headers=said) as response:
                if not response.is_success:
                    failure = refused(response.status_code, response.headers, response.read())
                    raise Cut(failure) if isinstance(failure, Lost) else failure
                yield _lines(response)
        except httpx.TransportError as error:
            raise Cut(failed(error)) from error

    def close(self) -> None:
        self._http.close()


def _expect_events(response: httpx.Response) -> None:
    if response.is_success and response.headers.get("content-type", "").startswith("text/event-stream"):
        return
    body = response.read()
    if response.is_success:
        raise ProtocolError(f"{response.url} answered no stream of events")
    failure = refused(response.status_code, response.headers, body)
    raise Cut(failure) if isinstance(failure, Lost) else failure


def _parsed(response: httpx.Response) -> Iterator[ServerEvent]:
    parser = Parser()
    for piece in response.iter_bytes():
        for event in parser.feed(piece):
            yield event


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """Whole lines, with their ends."""
    rest: list[bytes] = []
    for piece in response.iter_bytes():
        *whole, last = piece.split(b"\n")
        for line in whole:
            yield b"".join([*rest, line, b"\n"])
            rest.clear()
        rest.append(last)
    if any(rest):
        yield b"".join(rest)
