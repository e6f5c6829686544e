"""One document: read, written, looked back on, followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Generic, TypeVar

from typing_extensions import Unpack

from .._calls import documents as calls
from .._calls.documents import Name
from .._calls.terms import DataTerms, Tagged, Terms
from ..models import Commit, Diff, Document, Mark, Page, Position, RolledBack, Tag, Written
from .transport import AsyncTransport
from .watch import AsyncWatch

S = TypeVar("S")


class AsyncStateDoc(Generic[S]):
    """A document `type/id`, which may or may not exist. Making one asks the server nothing.

    Every write takes the terms of `Terms`: `if_match`, `base_version`, `idempotency_key`, `reason`, `run_id`; those
    that answer with a `Written` take `return_data=True` too.
    """

    def __init__(self, transport: AsyncTransport, name: Name[S]) -> None:
        self._transport = transport
        self._name = name

    @property
    def type(self) -> str:
        return self._name.type

    @property
    def id(self) -> str:
        return self._name.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    async def get(self, *, version: int | None = None, secrets: bool = False) -> Document[S]:
        """The document as it is, or as it was at `version`; `NotFound` or `Deleted` where there is none."""
        return await self._transport.execute(calls.get(self._name, version, secrets))

    async def get_if_changed(self, known: Tagged | str) -> Document[S] | None:
        """The document, or `None` while it is still at the known version (a document, a write, an entity tag)."""
        return await self._transport.execute(calls.get_if_changed(self._name, known))

    async def put(self, data: S, *, only_create: bool = False, **terms: Unpack[DataTerms]) -> Written[S]:
        """Replaces or creates the document. With `base_version` what others changed since then stays (three-way merge).

        `only_create` refuses with `AlreadyExists` where there is one.
        """
        return await self._transport.execute(calls.put(self._name, data, only_create, **terms))

    async def patch(
        self, ops: Iterable[Mapping[str, Any]], *, create: bool = False, **terms: Unpack[DataTerms]
    ) -> Written[S]:
        """Applies a JSON Patch (RFC 6902), all of it or nothing; with `create`, to `{}` where there is no document."""
        return await self._transport.execute(calls.patch(self._name, ops, create, **terms))

    async def merge(self, patch: Any, *, create: bool = False, **terms: Unpack[DataTerms]) -> Written[S]:
        """Applies a merge patch (RFC 7396): members that are `None` are removed."""
        return await self._transport.execute(calls.merge(self._name, patch, create, **terms))

    async def intents(
        self, items: Iterable[Mapping[str, Any]], *, create: bool = False, **terms: Unpack[DataTerms]
    ) -> Written[S]:
        """Applies intents (`coagent_runtime.intents`), which merge where patches of several writers would collide."""
        return await self._transport.execute(calls.intents(self._name, items, create, **terms))

    async def delete(self, **terms: Unpack[Terms]) -> None:
        """Deletes the document. Its history stays readable, and a rollback brings it back."""
        await self._transport.execute(calls.delete(self._name, **terms))

    async def history(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        actor: str | None = None,
        run_id: str | None = None,
        path: str | None = None,
        cursor: str | None = None,
    ) -> Page[Commit]:
        """A page of commits, oldest first: those next after `after`, or else the latest ones (before `before`)."""
        return await self._transport.execute(
            calls.history(self._name, after, before, limit, actor, run_id, path, cursor)
        )

    async def commits(
        self,
        *,
        after: int = 0,
        actor: str | None = None,
        run_id: str | None = None,
        path: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[Commit]:
        """All commits after a version, oldest first, read page by page."""
        cursor: str | None = None
        while True:
            begin = after if cursor is None else None
            page = await self.history(
                after=begin, limit=page_size, actor=actor, run_id=run_id, path=path, cursor=cursor
            )
            for commit in page.items:
                yield commit
            cursor = page.next_cursor
            if cursor is None:
                return

    async def diff(self, from_version: int, to_version: int | None = None) -> Diff:
        """The operations that lead from one version to another, which is the newest one if none is named."""
        return await self._transport.execute(calls.diff(self._name, from_version, to_version))

    async def blame(self, path: str | None = None) -> dict[str, Mark]:
        """Who wrote each leaf last, by its JSON pointer."""
        return await self._transport.execute(calls.blame(self._name, path))

    async def rollback(
        self,
        to_version: int | None = None,
        *,
        undo_run: str | None = None,
        dry_run: bool = False,
        **terms: Unpack[Terms],
    ) -> RolledBack:
        """Goes back to a version, or undoes what one run changed and nobody changed since; as a new version."""
        return await self._transport.execute(calls.rollback(self._name, to_version, undo_run, dry_run, **terms))

    async def tag(self, name: str, version: int | None = None) -> Tag:
        """Gives a version, the newest one if none is named, a name that keeps it in the history."""
        return await self._transport.execute(calls.tag(self._name, name, version))

    async def tags(self) -> tuple[Tag, ...]:
        """The named versions."""
        return await self._transport.execute(calls.tags(self._name))

    def watch(self, *, since: Position | None = None, give_up_after: float | None = None) -> AsyncWatch[S]:
        """Follows the document: first a snapshot, or from `since` on what is missing, then every version as it comes.

        Cuts and restarts of the server are bridged: no version is missing or told twice, and where the server has to
        skip some it says so with a snapshot. It ends by itself only after `give_up_after` seconds without a word, with
        `Unavailable`.
        """
        return AsyncWatch(self._transport, self._name, since, give_up_after)
