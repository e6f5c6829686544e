"""What httpx says, in the words of this package; the same for both clients."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from ._call import Answer, Call
from .errors import Refused, Unavailable, refusal
from .retry import Lost, NotSent

DEFAULT_URL = "http://127.0.0.1:7070"

# A proxy that gave up on the server: whether the server has done it, the proxy does not know.
_PROXY_GAVE_UP = (502, 504)

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

Token = str | Callable[[], str]


def base_url(url: str | None) -> str:
    """The address that is meant: the given one, `COAGENT_URL`, or where the runtime listens by itself."""
    return (url or os.environ.get("COAGENT_URL") or DEFAULT_URL).rstrip("/")


def timeouts(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(5.0, seconds))


def credentials(token: Token | None) -> dict[str, str]:
    """The header of a token; one that is a function is asked each time."""
    if token is None:
        return {}
    return {"Authorization": f"Bearer {token if isinstance(token, str) else token()}"}


def request_headers(call: Call[Any], token: Token | None) -> list[tuple[bytes, bytes]]:
    return wire_headers({**credentials(token), **call.headers})


def wire_headers(said: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as UTF-8, which the server reads; httpx by itself takes ASCII only."""
    return [(name.encode(), value.encode()) for name, value in said.items()]


def judged(response: httpx.Response) -> Answer | Refused | Unavailable | Lost:
    """What a response that is there whole comes to."""
    if response.is_success or response.status_code == 304:
        return Answer(response.status_code, response.headers, response.content)
    return refused(response.status_code, response.headers, response.content)


def refused(status: int, headers: Mapping[str, str], body: bytes) -> Refused | Unavailable | Lost:
    problem = _problem(body)
    if status in _PROXY_GAVE_UP and "code" not in problem:
        return Lost(f"a proxy answered {status}")
    return refusal(problem, status, _seconds(headers.get("retry-after")))


def failed(error: httpx.TransportError) -> NotSent | Lost:
    """What becomes of a call whose connection failed."""
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        raise ValueError(f"the request cannot be sent: {error}") from error
    why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return NotSent(why) if isinstance(error, _NOTHING_SENT) else Lost(why)


def _problem(body: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(body)
    except ValueError:
        # Not ours: a proxy's page, of which the beginning helps a person.
        return {"detail": body[:200].decode(errors="replace")}
    return problem if isinstance(problem, dict) else {"detail": str(problem)[:200]}


def _seconds(retry_after: str | None) -> float | None:
    try:
        return None if retry_after is None else max(0.0, float(retry_after))
    except ValueError:
        # A date: this server sends seconds, and a proxy's date is only a hint.
        return None
