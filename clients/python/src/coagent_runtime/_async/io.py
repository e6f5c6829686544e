"""What waits, and how: all that differs between the two clients but their grammar."""

from __future__ import annotations

import asyncio
from asyncio import Condition, Event
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from ssl import SSLContext
from typing import Any

from anyio import sleep
from websockets.asyncio.client import ClientConnection as Socket
from websockets.asyncio.client import connect as _connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from .._socket import CLOSE_TIMEOUT, SUBPROTOCOL, closed, not_opened

__all__ = [
    "Condition", "Event", "Socket", "background", "connect", "finished", "happened", "receive", "send", "sleep", "wait",
]  # fmt: skip


@asynccontextmanager
async def connect(url: str, headers: dict[str, str], ssl: SSLContext | None) -> AsyncIterator[Socket]:
    """A connection, closed in the end; `NotOpened` if there is none."""
    opening = _connect(
        url,
        additional_headers=headers,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        max_size=None,
        ssl=ssl,
        close_timeout=CLOSE_TIMEOUT,
    )
    async with AsyncExitStack() as stack:
        try:
            socket = await stack.enter_async_context(opening)
        except (OSError, WebSocketException, asyncio.TimeoutError) as error:
            raise not_opened(error) from error
        yield socket


async def receive(socket: Socket, timeout: float | None) -> str | bytes | None:
    """The next message, or `None` if none comes in time."""
    try:
        return await asyncio.wait_for(socket.recv(), timeout)
    except asyncio.TimeoutError:
        return None
    except ConnectionClosed as error:
        raise closed(error) from error


async def send(socket: Socket, text: str) -> None:
    try:
        # A caller that is cancelled meanwhile takes nothing back, and others' frames are among those it sends.
        await asyncio.shield(socket.send(text))
    except ConnectionClosed as error:
        raise closed(error) from error


async def wait(condition: Condition, until: Callable[[], bool], timeout: float | None) -> bool:
    """Whether it came about in time."""
    try:
        await asyncio.wait_for(condition.wait_for(until), timeout)
    except asyncio.TimeoutError:
        return until()
    return True


async def happened(event: Event, timeout: float | None) -> bool:
    """Whether it did in time."""
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except asyncio.TimeoutError:
        return event.is_set()
    return True


def background(work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    return asyncio.create_task(work())


async def finished(work: Awaitable[None]) -> None:
    await work
