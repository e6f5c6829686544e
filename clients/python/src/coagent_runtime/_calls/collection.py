"""Calls about many documents and their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._call import Answer, Call, Repeat, encoded, query_of, segment
from ..models import BatchWritten, DocumentInfo, DocumentType, Imported, Page
from .terms import Terms, headers


def page(type: str | None, prefix: str | None, limit: int | None, cursor: str | None) -> Call[Page[DocumentInfo]]:
    query = query_of(type=type, prefix=prefix, limit=limit, cursor=cursor)
    return Call("GET", "/v1/state", lambda answer: Page[DocumentInfo].model_validate(answer.json()), query=query)


def batch(
    mutations: Iterable[Mapping[str, Any]],
    reason: str | None,
    run_id: str | None,
    idempotency_key: str | None,
) -> Call[BatchWritten]:
    terms: Terms = {"idempotency_key": idempotency_key}
    if reason is not None:
        terms["reason"] = reason
    if run_id is not None:
        terms["run_id"] = run_id
    said, key = headers(**terms)
    return Call(
        "POST", "/v1/state:batch", lambda answer: BatchWritten.model_validate(answer.json()), Repeat.ONCE,
        headers=said, body=encoded({"mutations": list(mutations)}), idempotency_key=key,
    )  # fmt: skip


EXPORT = "/v1/state:export"
JSON_LINES = "application/x-ndjson"


def is_end(line: bytes) -> bool:
    """Whether this is the line that an export ends with."""
    return line.startswith(b'{"end":')


def imported(lines: bytes, skip_existing: bool) -> Call[Imported]:
    # Asked for a second time, what the first one brought back exists already.
    repeat = Repeat.HARMLESS if skip_existing else Repeat.TWICE
    return Call(
        "POST", "/v1/state:import", lambda answer: Imported.model_validate(answer.json()), repeat,
        query_of(existing="skip" if skip_existing else None), headers={"Content-Type": JSON_LINES}, body=lines,
    )  # fmt: skip


def types() -> Call[tuple[DocumentType, ...]]:
    def read(answer: Answer) -> tuple[DocumentType, ...]:
        return tuple(DocumentType.model_validate(item) for item in answer.json()["items"])

    return Call("GET", "/v1/types", read)


def schema(type: str) -> Call[Any]:
    return Call("GET", f"/v1/types/{segment(type)}/schema", lambda answer: answer.json())


def models(type: str) -> Call[str]:
    return Call("GET", f"/v1/types/{segment(type)}/types.py", lambda answer: answer.body.decode())
