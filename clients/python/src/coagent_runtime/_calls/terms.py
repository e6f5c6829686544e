"""The terms of a write: preconditions, base, idempotency key, reason; as keyword arguments and as headers."""

from __future__ import annotations

from typing import Protocol
from uuid import uuid4

from typing_extensions import TypedDict, Unpack

from .._call import JSON


class Tagged(Protocol):
    """Anything with an entity tag: a document, an accepted write, a position."""

    @property
    def etag(self) -> str: ...


class Terms(TypedDict, total=False):
    """What every write of one document takes."""

    if_match: Tagged | str
    """Refuse with `VersionConflict` unless the document is at this version."""
    base_version: int
    """The version that the writer saw: what others changed since is merged."""
    idempotency_key: str | None
    """One effect, however often the call is repeated within 24 hours. One is made up for each call without one."""
    reason: str
    """Kept with the commit."""
    run_id: str
    """The agent's run on whose behalf this is written."""


class DataTerms(Terms, total=False):
    """The same for writes that can answer with the document."""

    return_data: bool
    """Answer with the document's data too."""


def headers(content_type: str = JSON, /, **terms: Unpack[DataTerms]) -> tuple[dict[str, str], str]:
    """The headers that say so, and the idempotency key among them."""
    key = terms.get("idempotency_key") or uuid4().hex
    said: dict[str, str] = {"Content-Type": content_type, "Idempotency-Key": key}
    if (if_match := terms.get("if_match")) is not None:
        said["If-Match"] = if_match if isinstance(if_match, str) else if_match.etag
    if (base := terms.get("base_version")) is not None:
        said["Base-Version"] = str(base)
    if (reason := terms.get("reason")) is not None:
        said["X-Reason"] = reason
    if (run_id := terms.get("run_id")) is not None:
        said["X-Run-Id"] = run_id
    if terms.get("return_data"):
        said["Prefer"] = "return=representation"
    return said, key
