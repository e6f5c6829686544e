"""Documents over HTTP, with both clients against the real binary."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coagent_runtime import (
    AlreadyExists,
    Client,
    Conflict,
    Deleted,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    SchemaInvalid,
    TooLarge,
    VersionConflict,
    errors,
    intents,
)
from coagent_runtime.testing import Runtime


class Board(BaseModel):
    model_config = ConfigDict(extra="forbid")

    messages: list[str] = []
    count: int = 0
    owner: str | None = None
    class_: Literal["board"] | None = Field(default=None, alias="class")


def test_a_document_is_created_read_replaced_and_deleted(client: Client) -> None:
    doc = client.state("shared", "a/ü b")
    created = doc.put({"n": 1, "pi": 1.0, "big": 2**53 - 1})
    assert (created.version, created.duplicate, created.data) == (1, False, None)
    read = doc.get()
    assert read.data == {"n": 1, "pi": 1.0, "big": 2**53 - 1}
    assert isinstance(read.data["pi"], float)
    assert (read.type, read.id, read.version, read.updated_by) == ("shared", "a/ü b", 1, "user:local")
    assert read.etag == created.etag == f'"{read.epoch}.1"'
    again = doc.put([1, 2], return_data=True, reason="für später")
    assert (again.version, again.data) == (2, [1, 2])
    assert doc.history().items[-1].reason == "für später"
    doc.delete(if_match=again)
    with pytest.raises(Deleted) as gone:
        doc.get()
    assert gone.value.version == 3
    assert doc.get(version=2).data == [1, 2]


def test_what_is_not_there_is_said_by_kind(client: Client) -> None:
    with pytest.raises(NotFound) as absent:
        client.state("shared", "none").get()
    assert (absent.value.code, absent.value.status) == ("not_found", 404)
    with pytest.raises(errors.UnknownType):
        client.state("nowhere", "x").put({})
    client.state("shared", "x").put({})
    with pytest.raises(errors.VersionNotFound) as early:
        client.state("shared", "x").get(version=7)
    assert early.value.current_version == 1
    with pytest.raises(Invalid):
        client.state("Shared!", "x").get()


def test_a_reader_who_has_it_already_gets_nothing(client: Client) -> None:
    doc = client.state("shared", "a")
    first = doc.put({"n": 1})
    assert doc.get_if_changed(first) is None
    doc.merge({"n": 2})
    changed = doc.get_if_changed(first.etag)
    assert changed is not None
    assert (changed.version, changed.data) == (2, {"n": 2})


def test_preconditions_hold_and_say_where_the_document_is(client: Client) -> None:
    doc = client.state("shared", "a")
    first = doc.put({"n": 1}, only_create=True)
    with pytest.raises(AlreadyExists) as exists:
        doc.put({"n": 2}, only_create=True)
    assert exists.value.current_version == 1
    doc.put({"n": 2}, if_match=first)
    for write in (
        lambda: doc.put({"n": 3}, if_match=first),
        lambda: doc.merge({"n": 3}, if_match=first.etag),
        lambda: doc.delete(if_match=first.position),
    ):
        with pytest.raises(VersionConflict) as conflict:
            write()
        assert conflict.value.current_version == 2
    assert doc.get().data == {"n": 2}


def test_a_put_with_its_base_keeps_what_others_wrote_and_reports_what_it_overwrote(client: Client) -> None:
    doc = client.state("shared", "a")
    base = doc.put({"mine": 1, "theirs": 1, "both": 1})
    doc.merge({"theirs": 2, "both": 2})
    written = doc.put({"mine": 3, "theirs": 1, "both": 3}, base_version=base.version)
    assert doc.get().data == {"mine": 3, "theirs": 2, "both": 3}
    assert [(lost.path, lost.version, lost.lost) for lost in written.conflicts] == [("/both", 2, 2)]


def test_patches_merges_and_intents_apply_or_are_refused_whole(client: Client) -> None:
    doc = client.state("shared", "a")
    with pytest.raises(NotFound):
        doc.patch([{"op": "add", "path": "/n", "value": 1}])
    doc.patch([{"op": "add", "path": "/n", "value": 1}], create=True)
    doc.merge({"list": [], "gone": 1})
    doc.merge({"gone": None})
    doc.intents([intents.inc("/n", 2), intents.append("/list", "x"), intents.set_("/deep/er", True)])
    assert doc.get().data == {"n": 3, "list": ["x"], "deep": {"er": True}}
    with pytest.raises(errors.TestFailed):
        doc.patch([{"op": "add", "path": "/n", "value": 9}, {"op": "test", "path": "/list", "value": []}])
    with pytest.raises(errors.TargetGone):
        doc.patch([{"op": "replace", "path": "/no/where", "value": 9}])
    with pytest.raises(Invalid) as malformed:
        doc.patch([{"op": "explode", "path": "/n"}])
    assert malformed.value.code == "invalid_patch"
    assert doc.get().version == 4


def test_keyed_lists_and_texts_are_edited_by_intents(client: Client) -> None:
    doc = client.state("shared", "a")
    doc.put({"todo": [{"id": "a"}, {"id": "b"}], "title": "Hällo"})
    doc.intents(
        [
            intents.insert("/todo", {"id": "c"}, after="a"),
            intents.move("/todo", "b", before="a"),
            intents.text("/title", 1, delete=1, insert="a"),
            intents.unset("/nothing"),
        ]
    )
    data = doc.get().data
    assert ([item["id"] for item in data["todo"]], data["title"]) == (["b", "a", "c"], "Hallo")
    doc.intents([intents.remove_key("/todo", "a")])
    assert [item["id"] for item in doc.get().data["todo"]] == ["b", "c"]


def test_an_idempotency_key_makes_one_effect_of_many_calls(client: Client) -> None:
    doc = client.state("shared", "a")
    doc.put({"n": 0})
    first = doc.intents([intents.inc("/n")], idempotency_key="k")
    second = doc.intents([intents.inc("/n")], idempotency_key="k")
    assert (first.version, first.duplicate) == (2, False)
    assert (second.version, second.duplicate) == (2, True)
    assert doc.get().data == {"n": 1}
    with pytest.raises(errors.IdempotencyMismatch):
        doc.intents([intents.inc("/n", 5)], idempotency_key="k")
    # Without one each call is its own.
    doc.intents([intents.inc("/n")])
    doc.intents([intents.inc("/n")])
    assert doc.get().data == {"n": 3}


def test_typed_documents_are_read_and_written_as_models(client: Client) -> None:
    doc = client.state("shared", "board", Board)
    doc.put(Board(messages=["hello"]))
    assert client.state("shared", "board").get().data == {"messages": ["hello"], "count": 0}
    board = doc.get().data
    assert board == Board(messages=["hello"])
    board.class_ = "board"
    written = doc.put(board, return_data=True)
    assert written.data == board
    assert client.state("shared", "board").get().data["class"] == "board"
    client.state("shared", "board").merge({"count": "many"})
    with pytest.raises(ValidationError):
        doc.get()
    numbers = client.state("shared", "numbers", list[int])
    numbers.put([1, 2])
    assert numbers.get().data == [1, 2]


def test_members_that_nobody_set_are_absent_and_those_set_to_none_are_not(client: Client) -> None:
    class Inner(BaseModel):
        note: str | None = None

    class Outer(BaseModel):
        inner: Inner
        many: list[Inner]
        named: dict[str, Inner]

    doc = client.state("shared", "outer", Outer)
    doc.put(Outer(inner=Inner(), many=[Inner(note="x"), Inner(), Inner(note=None)], named={"a": Inner()}))
    assert client.state("shared", "outer").get().data == {
        "inner": {},
        "many": [{"note": "x"}, {}, {"note": None}],
        "named": {"a": {}},
    }


def test_history_is_paged_and_filtered_and_blame_names_the_leaves(client: Client) -> None:
    doc = client.state("shared", "a")
    for n in range(1, 8):
        doc.put({"n": n, "odd": n % 2 == 1})
    page = doc.history(limit=2)
    assert [commit.version for commit in page.items] == [6, 7]
    assert page.next_cursor is not None
    before = doc.history(limit=2, cursor=page.next_cursor)
    assert [commit.version for commit in before.items] == [4, 5]
    assert [commit.version for commit in doc.commits(after=2)] == [3, 4, 5, 6, 7]
    assert [commit.version for commit in doc.commits(page_size=3)] == [1, 2, 3, 4, 5, 6, 7]
    commit = doc.history(after=1, limit=1).items[0]
    assert (commit.actor, commit.ops) == ("user:local", [
        {"op": "add", "path": "/n", "value": 2},
        {"op": "add", "path": "/odd", "value": False},
    ])  # fmt: skip
    assert commit.inverse
    marks = doc.blame()
    assert {path: mark.version for path, mark in marks.items()} == {"/n": 7, "/odd": 7}
    assert doc.blame("/n").keys() == {"/n"}
    difference = doc.diff(1, 3)
    assert (difference.from_version, difference.to_version) == (1, 3)
    assert difference.ops == [{"op": "add", "path": "/n", "value": 3}]
    assert doc.diff(1).to_version == 7


def test_a_rollback_goes_forward_to_an_older_version(client: Client) -> None:
    doc = client.state("shared", "a")
    doc.put({"n": 1})
    doc.put({"n": 2})
    tried = doc.rollback(1, dry_run=True)
    assert tried.ops
    assert doc.get().version == 2
    done = doc.rollback(1, reason="a mistake", idempotency_key="r")
    assert (done.version, done.skipped, done.duplicate) == (3, (), False)
    assert doc.rollback(1, reason="a mistake", idempotency_key="r").duplicate
    assert doc.get().data == {"n": 1}
    with pytest.raises(ValueError, match="either"):
        doc.rollback(1, undo_run="r")
    with pytest.raises(NotFound):
        doc.rollback(undo_run="no-such-run")


def test_versions_have_names(client: Client) -> None:
    doc = client.state("shared", "a")
    doc.put({"n": 1})
    doc.put({"n": 2})
    assert doc.tag("first", 1).version == 1
    assert doc.tag("latest").version == 2
    assert doc.tag("first", 1).version == 1
    assert {(tag.name, tag.version) for tag in doc.tags()} == {("first", 1), ("latest", 2)}
    with pytest.raises(Conflict):
        doc.tag("first", 2)


def test_documents_are_listed_to_the_last_page(client: Client) -> None:
    for n in range(5):
        client.state("shared", f"x{n}").put({})
    client.state("task", "t").put({"title": "t"})
    page = client.list_documents("shared", prefix="x", limit=2)
    assert [item.id for item in page.items] == ["x0", "x1"]
    assert page.next_cursor is not None
    rest = client.list_documents("shared", prefix="x", cursor=page.next_cursor)
    assert [item.id for item in rest.items] == [
        "x2",
        "x3",
        "x4",
    ]
    assert [(item.type, item.id) for item in client.documents("task")] == [("task", "t")]
    assert len(list(client.documents())) == 6
    assert [item.id for item in client.documents("shared", page_size=2)] == ["x0", "x1", "x2", "x3", "x4"]


def test_a_batch_writes_all_or_nothing(client: Client) -> None:
    client.state("shared", "a").put({"n": 1})
    done = client.batch(
        [
            {"doc": "shared/a", "if_version": 1, "merge": {"n": 2}},
            {"doc": "shared/b", "replace": {"new": True}},
        ],
        reason="together",
        idempotency_key="b",
    )
    assert [(item.doc, item.version) for item in done.results] == [("shared/a", 2), ("shared/b", 1)]
    with pytest.raises(VersionConflict) as refused:
        client.batch([{"doc": "shared/b", "merge": {"x": 1}}, {"doc": "shared/a", "if_version": 1, "merge": {"n": 3}}])
    assert refused.value.index == 1
    assert client.state("shared", "b").get().data == {"new": True}
    assert client.state("shared", "b").history().items[0].reason == "together"


def test_schemas_refuse_with_places_and_types_generate_models(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = client.state("task", "t")
    with pytest.raises(SchemaInvalid) as invalid:
        task.put({"title": 1, "status": "new"})
    assert [fault.path for fault in invalid.value.errors] == ["/title"]
    task.put({"title": "x"})
    with pytest.raises(errors.TransitionInvalid):
        task.merge({"status": "done"})
    assert "task" in {declared.type for declared in client.types()}
    assert client.schema("task")["properties"]["title"] == {"type": "string"}
    (tmp_path / "generated_task.py").write_text(client.models("task"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "generated_task", raising=False)
    typed = client.state("task", "t", importlib.import_module("generated_task").Task)
    read = typed.get().data
    read.status = "ready"
    typed.put(read)
    assert task.get().data == {"title": "x", "status": "ready"}


def test_lifecycle_documents_are_the_runtimes_own(client: Client) -> None:
    with pytest.raises(Forbidden):
        client.state("lifecycle", "x").put({})


def test_what_is_not_json_is_refused_before_it_is_sent(client: Client) -> None:
    doc = client.state("shared", "a")
    with pytest.raises(ValueError, match="Out of range float"):
        doc.put({"n": math.nan})
    with pytest.raises(TypeError):
        doc.put({"n": object()})
    with pytest.raises(Invalid):
        doc.put({"n": 2**60})
    with pytest.raises(TooLarge) as large:
        doc.merge({"n": "x" * (2 << 20)}, create=True)
    assert large.value.limit_bytes == 1 << 20


def test_a_paths_policy_can_refuse_a_merge(client: Client, runtime: Runtime) -> None:
    (runtime.agents / "_types").mkdir()
    (runtime.agents / "_types" / "form.yaml").write_text(
        "schema:\n  type: object\n  properties:\n    seat: { type: string, x-merge: cas }\n"
    )
    runtime.restart()
    doc = client.state("form", "f")
    base = doc.put({"seat": "a"})
    doc.merge({"seat": "b"})
    with pytest.raises(Conflict) as conflict:
        doc.merge({"seat": "c"}, base_version=base.version)
    assert (conflict.value.paths, conflict.value.current_version) == (("/seat",), 2)
    assert isinstance(conflict.value, Refused)
