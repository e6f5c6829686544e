"""Calls about one document (docs/state-api.md §2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from typing_extensions import Unpack

from .._call import Answer, Call, Repeat, encoded, query_of, segment
from ..models import Commit, Diff, Document, Mark, Page, RolledBack, Tag, Written
from ..shape import Shape
from .terms import DataTerms, Tagged, Terms, headers

S = TypeVar("S")

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
INTENTS = "application/vnd.coagent.intents+json"


@dataclass(frozen=True)
class Name(Generic[S]):
    """A document, and the shape in which its caller reads and writes it."""

    type: str
    id: str
    shape: Shape[S]

    @property
    def path(self) -> str:
        return f"/v1/state/{segment(self.type)}/{segment(self.id)}"

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


def get(name: Name[S], version: int | None, secrets: bool) -> Call[Document[S]]:
    query = query_of(version=version, secrets=secrets)
    return Call("GET", name.path, lambda answer: _document(name, answer), query=query)


def get_if_changed(name: Name[S], known: Tagged | str) -> Call[Document[S] | None]:
    def read(answer: Answer) -> Document[S] | None:
        return None if answer.status == 304 else _document(name, answer)

    etag = known if isinstance(known, str) else known.etag
    return Call("GET", name.path, read, headers={"If-None-Match": etag})


def put(name: Name[S], data: S, only_create: bool, **terms: Unpack[DataTerms]) -> Call[Written[S]]:
    said, key = headers(**terms)
    if only_create:
        said["If-None-Match"] = "*"
    return Call(
        "PUT", name.path, lambda answer: _written(name, answer), Repeat.ONCE,
        headers=said, body=encoded(name.shape.write(data)), idempotency_key=key,
    )  # fmt: skip


def change(name: Name[S], content_type: str, change: Any, create: bool, **terms: Unpack[DataTerms]) -> Call[Written[S]]:
    said, key = headers(content_type, **terms)
    return Call(
        "PATCH", name.path, lambda answer: _written(name, answer), Repeat.ONCE, query_of(create=create),
        headers=said, body=encoded(change), idempotency_key=key,
    )  # fmt: skip


def patch(
    name: Name[S], ops: Iterable[Mapping[str, Any]], create: bool, **terms: Unpack[DataTerms]
) -> Call[Written[S]]:
    return change(name, JSON_PATCH, list(ops), create, **terms)


def merge(name: Name[S], patch: Any, create: bool, **terms: Unpack[DataTerms]) -> Call[Written[S]]:
    return change(name, MERGE_PATCH, patch, create, **terms)


def intents(
    name: Name[S], items: Iterable[Mapping[str, Any]], create: bool, **terms: Unpack[DataTerms]
) -> Call[Written[S]]:
    return change(name, INTENTS, list(items), create, **terms)


def delete(name: Name[S], **terms: Unpack[Terms]) -> Call[None]:
    said, key = headers(**terms)
    return Call("DELETE", name.path, lambda answer: None, Repeat.ONCE, headers=said, idempotency_key=key)


def history(
    name: Name[S],
    after: int | None,
    before: int | None,
    limit: int | None,
    actor: str | None,
    run_id: str | None,
    path: str | None,
    cursor: str | None,
) -> Call[Page[Commit]]:
    def read(answer: Answer) -> Page[Commit]:
        body = answer.json()
        return Page[Commit].model_validate({"items": body["commits"], "next_cursor": body.get("next_cursor")})

    query = query_of(after=after, before=before, limit=limit, actor=actor, run_id=run_id, path=path, cursor=cursor)
    return Call("GET", f"{name.path}/history", read, query=query)


def diff(name: Name[S], from_version: int, to_version: int | None) -> Call[Diff]:
    query = query_of(**{"from": from_version, "to": to_version})
    return Call("GET", f"{name.path}/diff", lambda answer: Diff.model_validate(answer.json()), query=query)


def blame(name: Name[S], path: str | None) -> Call[dict[str, Mark]]:
    def read(answer: Answer) -> dict[str, Mark]:
        return {leaf: Mark.model_validate(mark) for leaf, mark in answer.json()["path"].items()}

    return Call("GET", f"{name.path}/blame", read, query=query_of(path=path))


def rollback(
    name: Name[S], to_version: int | None, undo_run: str | None, dry_run: bool, **terms: Unpack[Terms]
) -> Call[RolledBack]:
    if (to_version is None) == (undo_run is None):
        raise ValueError("a rollback names either `to_version` or `undo_run`")
    said, key = headers(**terms)
    wanted = {"to_version": to_version, "run_id": undo_run, "dry_run": dry_run or None}
    body = {member: value for member, value in wanted.items() if value is not None}
    return Call(
        "POST", f"{name.path}/rollback", lambda answer: RolledBack.model_validate(answer.json()), Repeat.ONCE,
        headers=said, body=encoded(body), idempotency_key=key,
    )  # fmt: skip


def tag(name: Name[S], label: str, version: int | None) -> Call[Tag]:
    body = {"name": label} if version is None else {"name": label, "version": version}
    # Without a version it is the newest one that gets the name, which may be another one the second time.
    repeat = Repeat.TWICE if version is None else Repeat.HARMLESS
    said = {"Content-Type": "application/json"}
    read = Tag.model_validate
    return Call(
        "POST",
        f"{name.path}/tags",
        lambda answer: read(answer.json()),
        repeat,
        headers=said,
        body=encoded(body),
    )


def tags(name: Name[S]) -> Call[tuple[Tag, ...]]:
    def read(answer: Answer) -> tuple[Tag, ...]:
        return tuple(Tag.model_validate(tag) for tag in answer.json()["tags"])

    return Call("GET", f"{name.path}/tags", read)


def _document(name: Name[S], answer: Answer) -> Document[S]:
    body = answer.json()
    # Validated by the shape first: what is read twice must not be converted twice.
    data = name.shape.read(body["data"])
    whole: Document[Any] = Document[Any].model_validate({**body, "data": data})
    return whole


def _written(name: Name[S], answer: Answer) -> Written[S]:
    body = answer.json()
    if "data" in body:
        body["data"] = name.shape.read(body["data"])
    whole: Written[Any] = Written[Any].model_validate(body)
    return whole
