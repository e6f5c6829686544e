"""What the WebSocket library says, in the words of this package; the same for both clients."""

from __future__ import annotations

from websockets.exceptions import ConnectionClosed, InvalidStatus

from ._http import refused
from .errors import CoagentError, Forbidden, ProtocolError, RateLimited, Refused, Unauthenticated, Unavailable
from .retry import Lost, NotSent

SUBPROTOCOL = "coagent.v1"

# How long the other side has to say goodbye too.
CLOSE_TIMEOUT = 2.0

# docs/state-api.md §4; every other code is a cut, after which the conversation goes on.
_FINAL: dict[int, type[Refused]] = {4401: Unauthenticated, 4403: Forbidden}
_BAD_FRAME = 4400


class NotOpened(Exception):
    """No connection; `failure` says whether another attempt makes sense."""

    def __init__(self, failure: NotSent | Refused | Unavailable | RateLimited) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Closed(Exception):
    """The connection has ended; with an `error`, so has the conversation."""

    def __init__(self, error: CoagentError | None) -> None:
        super().__init__(str(error))
        self.error = error


def socket_url(url: str) -> str:
    """Where the socket of a runtime at this address is."""
    return "ws" + url.removeprefix("http") + "/v1/ws"


def not_opened(error: Exception) -> NotOpened:
    if isinstance(error, InvalidStatus):
        response = error.response
        failure = refused(response.status_code, response.headers, bytes(response.body or b""))
        return NotOpened(NotSent(failure.why) if isinstance(failure, Lost) else failure)
    return NotOpened(NotSent(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__))


def closed(error: ConnectionClosed) -> Closed:
    frame = error.rcvd
    if frame is not None and (kind := _FINAL.get(frame.code)) is not None:
        return Closed(kind(kind.codes[0], frame.reason, {}))
    if frame is not None and frame.code == _BAD_FRAME:
        return Closed(ProtocolError(f"the server did not take a frame: {frame.reason}"))
    return Closed(None)
