"""What the runtime answers about documents. Members this version does not know are ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from .patch import Operation

S = TypeVar("S")
T = TypeVar("T")


class Position(NamedTuple):
    """A version in one lineage of versions: where a watch goes on."""

    epoch: str
    version: int

    @property
    def etag(self) -> str:
        return f'"{self.epoch}.{self.version}"'


class Answered(BaseModel):
    """The base of everything that the runtime answers; immutable."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Versioned(Answered):
    epoch: str
    version: int

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.version)

    @property
    def etag(self) -> str:
        return self.position.etag


class DocumentInfo(_Versioned):
    """A document without its data, as lists show it."""

    type: str
    id: str
    updated_at: datetime
    updated_by: str


class Document(DocumentInfo, Generic[S]):
    """A document at one version."""

    data: S


class Overwritten(Answered):
    """A value that lost against a later writer: where, whose it was, and in which version."""

    path: str
    version: int
    actor: str
    lost: Any = None


class Written(_Versioned, Generic[S]):
    """An accepted write: the document's version then, and what it overwrote of others.

    `duplicate` says that the idempotency key was known: this is the first call's answer. `data` is there if asked for.
    """

    data: S | None = None
    conflicts: tuple[Overwritten, ...] = ()
    duplicate: bool = False


class Acknowledged(Answered, Generic[S]):
    """A mutation of a session that is durable, in `version`, and what it overwrote of others.

    `data` is what the document would be, after a `dry_run`.
    """

    version: int
    duplicate: bool = False
    conflicts: tuple[Overwritten, ...] = ()
    data: S | None = None


class Commit(Answered):
    """One accepted change: the operations that made `version` of the version before, and those that lead back."""

    version: int
    ops: list[Operation]
    actor: str
    at: datetime
    base: int | None = None
    inverse: list[Operation] = Field(default_factory=list)
    run_id: str | None = None
    mutation_id: int | None = None
    reason: str | None = None
    conflicts: tuple[Overwritten, ...] = ()


class Page(Answered, Generic[T]):
    """A part of a list; `next_cursor` leads to what follows, and is absent at the end."""

    items: tuple[T, ...]
    next_cursor: str | None = None


class Diff(Answered):
    """The operations that lead from one version to another."""

    from_version: int = Field(alias="from")
    to_version: int = Field(alias="to")
    ops: list[Operation]


class Mark(Answered):
    """Who wrote a leaf last: in which version, in which run, and when."""

    version: int
    actor: str
    at: datetime
    run_id: str | None = None


class Skipped(Answered):
    """A place that a rollback left alone, and why."""

    path: str
    reason: str


class RolledBack(_Versioned):
    """A rollback: a commit forward, the operations it made, and what it could not undo."""

    ops: list[Operation]
    skipped: tuple[Skipped, ...] = ()
    duplicate: bool = False


class Tag(Answered):
    """A named version; it is never thinned out of the history."""

    name: str
    version: int


class BatchItem(Answered):
    """What a batch made of one document."""

    doc: str
    version: int


class BatchWritten(Answered):
    """An accepted batch, in the order of its mutations."""

    results: tuple[BatchItem, ...]
    duplicate: bool = False


class Imported(Answered):
    """How much an import brought back, and the names of those that it left alone because they exist."""

    documents: int
    commits: int
    skipped: tuple[str, ...] = ()


class DocumentType(Answered):
    """A declared type of documents, with the JSON Schema of what they hold."""

    type: str
    json_schema: Any = Field(alias="schema")
