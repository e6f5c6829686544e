"""What waits, and how: all that differs between the two clients but their grammar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ssl import SSLContext
from threading import Condition, Event, Thread
from time import sleep

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection as Socket
from websockets.sync.client import connect as _connect
from websockets.typing import Subprotocol

from .._socket import CLOSE_TIMEOUT, SUBPROTOCOL, closed, not_opened

__all__ = [
    "Condition", "Event", "Socket", "background", "connect", "finished", "happened", "receive", "send", "sleep", "wait",
]  # fmt: skip


@contextmanager
def connect(url: str, headers: dict[str, str], ssl: SSLContext | None) -> Iterator[Socket]:
    """A connection, closed in the end; `NotOpened` if there is none."""
    with ExitStack() as stack:
        try:
            opened = _connect(
                url,
                additional_headers=headers,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                max_size=None,
                ssl=ssl,
                close_timeout=CLOSE_TIMEOUT,
            )
            socket = stack.enter_context(opened)
        except (OSError, WebSocketException) as error:
            raise not_opened(error) from error
        yield socket


def receive(socket: Socket, timeout: float | None) -> str | bytes | None:
    """The next message, or `None` if none comes in time."""
    try:
        return socket.recv(timeout)
    except TimeoutError:
        return None
    except ConnectionClosed as error:
        raise closed(error) from error


def send(socket: Socket, text: str) -> None:
    try:
        socket.send(text)
    except ConnectionClosed as error:
        raise closed(error) from error


def wait(condition: Condition, until: Callable[[], bool], timeout: float | None) -> bool:
    """Whether it came about in time."""
    return condition.wait_for(until, timeout)


def happened(event: Event, timeout: float | None) -> bool:
    """Whether it did in time."""
    return event.wait(timeout)


def background(work: Callable[[], None]) -> Thread:
    thread = Thread(target=work, name="coagent session", daemon=True)
    thread.start()
    return thread


def finished(work: Thread) -> None:
    work.join()
