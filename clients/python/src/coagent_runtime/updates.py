"""What a watch tells: each version of a document once, in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from . import patch
from .errors import ProtocolError
from .models import Position
from .patch import Operation
from .shape import Shape

S = TypeVar("S")


@dataclass(frozen=True)
class Snapshot(Generic[S]):
    """The whole document, without saying how it came to be.

    `reason`: `new` at first, and when a document that was gone is there again; `trimmed` or `slow` when versions were
    skipped on the way, `epoch` when the document has a new lineage of versions, `access` when the caller's rights
    changed.
    """

    position: Position
    data: S
    reason: str

    @property
    def version(self) -> int:
        return self.position.version


@dataclass(frozen=True)
class Delta(Generic[S]):
    """What changed since the update before, who changed it, and the whole document after it.

    Unchanged parts of plain `data` are shared with earlier updates: read it, do not change it.
    """

    position: Position
    data: S
    from_version: int
    ops: list[Operation]
    actor: str
    at: datetime
    run_id: str | None = None
    origin: dict[str, Any] | None = None

    @property
    def version(self) -> int:
        return self.position.version


@dataclass(frozen=True)
class Deletion:
    """The document was deleted; if it is created again, deltas from `{}` follow, or a snapshot.

    Where a session learns of it only after a cut, `version` is the earliest that it can have.
    """

    position: Position
    data: None = None

    @property
    def version(self) -> int:
        return self.position.version


Update = Snapshot[S] | Delta[S] | Deletion


class Gap(Exception):
    """A delta does not follow the last version: the stream has to be resumed."""


@dataclass(frozen=True)
class _Told:
    """A delta on the wire."""

    to: int
    ops: list[dict[str, Any]]
    actor: str
    at: datetime
    run_id: str | None = None
    origin: dict[str, Any] | None = None


_TOLD = TypeAdapter(_Told)


class Cursor(Generic[S]):
    """Where a reader is in a document. Whatever it is told twice it drops; what it was not told it notices."""

    def __init__(self, shape: Shape[S], position: Position | None = None, plain: Any = None) -> None:
        self._shape = shape
        self.position = position
        self.plain = plain
        """The document at `position`, as plain data."""
        self._is_deleted = False

    def snapshot(self, epoch: str, version: int, data: Any, reason: str) -> Snapshot[S] | None:
        position = Position(epoch, version)
        if position == self.position and reason != "access":
            return None
        self.position, self.plain, self._is_deleted = position, data, False
        return Snapshot(position, self._shape.read(data), reason)

    def delta(self, said: dict[str, Any]) -> Delta[S] | None:
        """`{"from","to","ops","actor","run_id"?,"origin"?,"at"}`."""
        from_version = said["from"]
        told = _TOLD.validate_python(said)
        if self.position is None or from_version > self.position.version:
            raise Gap
        if told.to <= self.position.version:
            return None
        if from_version < self.position.version:
            # Several versions in one, of which some are here already: they cannot be told apart.
            raise Gap
        try:
            self.plain = patch.apply(self.plain, told.ops)
        except patch.PatchError as error:
            raise ProtocolError(f"version {told.to} does not follow from {from_version}: {error}") from error
        self.position, self._is_deleted = Position(self.position.epoch, told.to), False
        return Delta(
            self.position,
            self._shape.read(self.plain),
            from_version,
            told.ops,
            told.actor,
            told.at,
            told.run_id,
            told.origin,
        )

    def deleted(self, version: int) -> Deletion | None:
        if self.position is None or version <= self.position.version:
            return None
        self.position, self.plain, self._is_deleted = Position(self.position.epoch, version), {}, True
        return Deletion(self.position)

    def gone(self) -> Deletion | None:
        """The document is no more, and nobody says since when: at the earliest since the version after this one."""
        if self.position is None or self._is_deleted:
            return None
        return self.deleted(self.position.version + 1)
