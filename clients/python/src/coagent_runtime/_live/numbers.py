"""The numbers that a document's mutations have, and the client's name that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4


@dataclass
class Numbers:
    # None for the name that the session said hello with.
    client: str | None = None
    next: int = 1
    # Whether the server has used up one.
    is_known: bool = False

    def take(self) -> int:
        self.next += 1
        return self.next - 1

    def anew(self) -> None:
        """From 1, under a name that nobody has used: nothing of before can be taken for what comes."""
        self.client, self.next, self.is_known = uuid4().hex, 1, False

    def members(self, number: int) -> dict[str, Any]:
        """What a frame says of it."""
        named = {} if self.client is None else {"client_id": self.client}
        return {"mutation_id": number, **named}
