"""When a call is sent again, decided from what happened to it; pure, so that both clients decide alike."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from ._call import Call, Repeat
from .errors import CoagentError, Indeterminate, RateLimited, Refused, Unavailable


@dataclass(frozen=True)
class Retry:
    """How patiently a call is repeated: up to `attempts` in all, after waits that grow from `base` to `cap` seconds."""

    attempts: int = 5
    base: float = 0.1
    cap: float = 5.0

    def wait(self, attempt: int) -> float:
        """Seconds before the attempt after this one (the first is 1), drawn so that clients do not come all at once."""
        return float(min(self.cap, self.base * 2 ** (attempt - 1)) * random.uniform(0.5, 1))


@dataclass(frozen=True)
class NotSent:
    """The server was not reached: nothing can have happened."""

    why: str


@dataclass(frozen=True)
class Lost:
    """It was sent, perhaps in part, and no whole answer came."""

    why: str


Failure = NotSent | Lost | Refused | Unavailable


class Attempts:
    """The attempts at one call."""

    def __init__(self, call: Call[Any], retry: Retry) -> None:
        self._call = call
        self._retry = retry
        self._made = 0
        # Once an answer was lost, a failure to ask again does not tell what the first one did.
        self._lost: str | None = None

    def after(self, failure: Failure) -> float:
        """Seconds to wait before the next attempt; raises what the caller is to know when there is none."""
        self._made += 1
        if isinstance(failure, Lost):
            self._lost = failure.why
        if self._made >= self._retry.attempts or not self._may_repeat(failure):
            raise self._verdict(failure)
        wait = self._retry.wait(self._made)
        asked = failure.retry_after if isinstance(failure, RateLimited | Unavailable) else None
        if asked is None:
            return wait
        if asked > self._retry.cap:
            raise self._verdict(failure)
        return max(wait, asked)

    def _may_repeat(self, failure: Failure) -> bool:
        if isinstance(failure, NotSent):
            return True
        if isinstance(failure, Refused):
            return isinstance(failure, RateLimited)
        return self._call.repeat is not Repeat.TWICE

    def _verdict(self, failure: Failure) -> CoagentError:
        if isinstance(failure, Refused) and not isinstance(failure, RateLimited):
            # An answer to this very call, whatever happened to earlier ones: nothing was done.
            return failure
        is_write = self._call.method != "GET"
        if is_write and self._lost is not None:
            return Indeterminate(
                f"{self._call.method} {self._call.path} was sent and its answer lost: {self._lost}",
                self._call.idempotency_key,
            )
        if isinstance(failure, NotSent | Lost):
            return Unavailable(f"{self._call.method} {self._call.path}: {failure.why}")
        return failure


class Reconnects:
    """How long a stream that was cut is asked for again.

    Before its first event as patiently as a call; after that for ever, or for `give_up_after` seconds without one.
    """

    def __init__(self, retry: Retry, give_up_after: float | None) -> None:
        self._retry = retry
        self._give_up_after = give_up_after
        self._tries = 0
        self._heard_at: float | None = None

    def heard(self, now: float) -> None:
        """Something came at this time, in seconds of any clock that only goes forward."""
        self._tries = 0
        self._heard_at = now

    def after(self, failure: NotSent | Lost | RateLimited | Unavailable, now: float) -> float:
        """Seconds to wait; raises what the reader is to know when it is not asked for again."""
        self._tries += 1
        if self._heard_at is None:
            gives_up = self._tries >= self._retry.attempts
        else:
            gives_up = self._give_up_after is not None and now - self._heard_at >= self._give_up_after
        if gives_up:
            raise Unavailable(failure.why) if isinstance(failure, NotSent | Lost) else failure
        asked = None if isinstance(failure, NotSent | Lost) else failure.retry_after
        return max(self._retry.wait(min(self._tries, 16)), min(asked or 0.0, self._retry.cap))
