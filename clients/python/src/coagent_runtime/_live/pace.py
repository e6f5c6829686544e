"""How fast mutations may be sent, by the rate that the server allows."""

from __future__ import annotations

from math import inf


class Pace:
    """A bucket of tokens that holds those of one second, as the server's is."""

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._tokens = per_second
        self._filled = now

    def take(self, now: float) -> bool:
        """Takes a token, if there is one."""
        self._fill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def drain(self, now: float) -> None:
        """The server has none left."""
        self._fill(now)
        if self._per_second < inf:
            self._tokens = 0

    def next_at(self) -> float:
        """When there will be a token."""
        return self._filled + max(0.0, 1 - self._tokens) / self._per_second

    def _fill(self, now: float) -> None:
        if self._per_second < inf:
            grown = max(0.0, now - self._filled) * self._per_second
            self._tokens = min(self._tokens + grown, self._per_second)
        self._filled = max(now, self._filled)
