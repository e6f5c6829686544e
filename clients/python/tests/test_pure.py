"""What needs no server: pointers, patches, server-sent events, decisions about repeating."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coagent_runtime import Indeterminate, Retry, Unavailable, errors
from coagent_runtime._call import Answer, Call, Repeat
from coagent_runtime._events import Follower
from coagent_runtime._sse import Parser, ServerEvent
from coagent_runtime.errors import CoagentError, refusal
from coagent_runtime.patch import PatchError, apply, equal, merge
from coagent_runtime.pointer import PointerError, pointer, resolve, tokens
from coagent_runtime.retry import Attempts, Failure, Lost, NotSent

_KEYS = st.text(st.sampled_from("ab/~01é"), max_size=3)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


def _places(value: Any, at: str = "") -> list[str]:
    if isinstance(value, dict):
        return [at, *(place for key, item in value.items() for place in _places(item, at + pointer(key)))]
    if isinstance(value, list):
        return [at, *(place for key, item in enumerate(value) for place in _places(item, at + pointer(key)))]
    return [at]


@given(st.lists(_KEYS))
def test_a_pointer_says_the_keys_it_was_made_of(keys: list[str]) -> None:
    assert tokens(pointer(*keys)) == keys


@pytest.mark.parametrize("text", ["a", "/~", "/~2", "/a~"])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(PointerError):
        tokens(text)


@given(_VALUES, st.data())
def test_what_is_added_is_found_there_and_nothing_else_changes(value: Any, data: st.DataObject) -> None:
    before = json.dumps(value)
    place = data.draw(st.sampled_from(_places(value)))
    new = data.draw(_VALUES)
    changed = apply(
        value, [{"op": "replace", "path": place, "value": new}, {"op": "test", "path": place, "value": new}]
    )
    assert equal(resolve(changed, place), new)
    assert json.dumps(value) == before
    back = apply(changed, [{"op": "replace", "path": place, "value": resolve(value, place)}])
    assert equal(back, value)


@given(_VALUES, st.data())
def test_a_removal_undoes_an_addition_and_a_move_back_a_move(value: Any, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(_places(value)))
    container = resolve(value, place)
    if isinstance(container, list):
        new = place + pointer(data.draw(st.integers(0, len(container))))
    elif isinstance(container, dict):
        new = place + pointer(data.draw(_KEYS.filter(lambda key: key not in container)))
    else:
        with pytest.raises(PatchError):
            apply(value, [{"op": "add", "path": place + "/x", "value": 1}])
        return
    added = apply(value, [{"op": "add", "path": new, "value": 1}])
    assert equal(apply(added, [{"op": "remove", "path": new}]), value)
    aside = {"it": added, "aside": {}}
    there = apply(aside, [{"op": "move", "from": "/it" + new, "path": "/aside/x"}])
    assert equal(there, {"it": value, "aside": {"x": 1}})
    assert equal(apply(there, [{"op": "move", "from": "/aside/x", "path": "/it" + new}]), aside)


@given(_VALUES, _VALUES)
def test_a_merge_patch_applied_twice_is_applied_once(value: Any, patch: Any) -> None:
    before = json.dumps([value, patch])
    once = merge(value, patch)
    assert equal(merge(once, patch), once)
    assert json.dumps([value, patch]) == before


# RFC 6902, appendix A, and what it leaves to the reader.
@pytest.mark.parametrize(
    ("value", "ops", "expected"),
    [
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/1", "value": "baz"}], {"foo": ["bar", "baz"]}),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["x"]}], {"foo": ["bar", ["x"]]}),
        ({"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
        ({"a": [1, 2]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1, 2], "b": [1, 2]}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"a": 1}, [{"op": "add", "path": "", "value": [1]}], [1]),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": {"b": 1}}),
    ],
)
def test_patches_do_what_the_rfc_says(value: Any, ops: list[dict[str, Any]], expected: Any) -> None:
    assert apply(value, ops) == expected


@pytest.mark.parametrize(
    ("value", "op"),
    [
        ({}, {"op": "remove", "path": "/a"}),
        ({}, {"op": "replace", "path": "/a", "value": 1}),
        ({}, {"op": "add", "path": "/a/b", "value": 1}),
        ([1], {"op": "add", "path": "/2", "value": 1}),
        ([1], {"op": "add", "path": "/01", "value": 1}),
        ([1], {"op": "remove", "path": "/-"}),
        ([1], {"op": "remove", "path": "/1"}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a", "path": "/a/b"}),
        ({"a": 1}, {"op": "test", "path": "/a", "value": True}),
        ({"a": 1}, {"op": "add", "path": "/b"}),
        ({"a": 1}, {"op": "fly", "path": "/b"}),
    ],
)
def test_patches_that_do_not_apply_are_refused(value: Any, op: dict[str, Any]) -> None:
    with pytest.raises(PatchError, match="operation 0"):
        apply(value, [op])


_STREAM = (
    ": comment\n\nid: e.1\nevent: snapshot\ndata: {\"a\":\ndata: 1}\n\n"
    "event: delta\r\ndata: é\r\nid: e.2\r\n\r\ndata: x\r\rid: e.3\n\nretry: 10\n\ndata:y\n\ndata: never ended\n"
).encode()  # fmt: skip
_EVENTS = [
    ServerEvent("snapshot", '{"a":\n1}', "e.1"),
    ServerEvent("delta", "é", "e.2"),
    ServerEvent("message", "x", "e.2"),
    ServerEvent("message", "y", "e.3"),
]


@given(st.lists(st.integers(0, len(_STREAM))))
def test_events_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    parser = Parser()
    ends = [0, *sorted(cuts), len(_STREAM)]
    pieces = [_STREAM[start:end] for start, end in pairwise(ends)]
    assert [event for piece in pieces for event in parser.feed(piece)] == _EVENTS


def test_events_are_the_same_byte_by_byte() -> None:
    parser = Parser()
    assert [event for byte in _STREAM for event in parser.feed(bytes([byte]))] == _EVENTS


# A run's log: events with ids, and texts that are shown in pieces before they are stored whole.
_ENTRIES = st.lists(
    st.tuples(st.sampled_from(["note", "a", "b"]), st.text("xyz", min_size=1, max_size=6)), min_size=1, max_size=8
)


def _entry(whose: str, text: str, id: str) -> ServerEvent:
    if whose == "note":
        return ServerEvent("message", json.dumps({"type": "CUSTOM", "value": text}), id)
    return ServerEvent("message", json.dumps({"type": "TEXT_MESSAGE_CONTENT", "messageId": whose, "delta": text}), id)


def _stored(entries: list[tuple[str, str]]) -> list[ServerEvent]:
    return [_entry(whose, text, f"log.{number}") for number, (whose, text) in enumerate(entries, 1)]


def _shown(entries: list[tuple[str, str]], after: int, data: st.DataObject) -> list[ServerEvent]:
    """What a live reader gets after an entry, cut off anywhere: texts in pieces without an id, or as stored."""
    events: list[ServerEvent] = []
    for number, (whose, text) in list(enumerate(entries, 1))[after:]:
        if whose == "note" or data.draw(st.booleans()):
            events.append(_entry(whose, text, f"log.{number}"))
        else:
            at = data.draw(st.integers(0, len(text)))
            # An event without an id has that of the one before, for a reader of events.
            before = events[-1].id if events else ""
            events += [_entry(whose, piece, before) for piece in (text[:at], text[at:]) if piece]
    return events[: data.draw(st.integers(0, len(events)))]


@given(_ENTRIES, st.data())
def test_a_follower_misses_nothing_and_repeats_nothing_however_often_it_is_cut(
    entries: list[tuple[str, str]], data: st.DataObject
) -> None:
    follower = Follower()
    told = []
    for turn in range(4):
        resumed = follower.resumes().get("Last-Event-ID", "log.0")
        after = int(resumed.removeprefix("log."))
        events = _stored(entries)[after:] if turn == 3 else _shown(entries, after, data)
        told += [event for event in map(follower.take, events) if event is not None]
    for whose in ("a", "b"):
        text = "".join(event.data["delta"] for event in told if event.data.get("messageId") == whose)
        assert text == "".join(text for of, text in entries if of == whose)
    notes = [event.data["value"] for event in told if event.type == "CUSTOM"]
    assert notes == [text for of, text in entries if of == "note"]


def _call(method: str, repeat: Repeat) -> Call[None]:
    def read(_: Answer) -> None:
        return None

    return Call(method, "/x", read, repeat, idempotency_key="k")


_DOWN = Unavailable("down")
_REFUSED = refusal({"code": "not_found"}, 404)
assert isinstance(_REFUSED, errors.Refused)


@pytest.mark.parametrize(
    ("call", "failures", "expected"),
    [
        (_call("GET", Repeat.HARMLESS), [Lost("")] * 3, Unavailable),
        (_call("PUT", Repeat.ONCE), [NotSent("")] * 3, Unavailable),
        (_call("PUT", Repeat.ONCE), [Lost("")] * 3, Indeterminate),
        (_call("PUT", Repeat.ONCE), [Lost(""), NotSent(""), NotSent("")], Indeterminate),
        (_call("PUT", Repeat.ONCE), [Lost(""), _DOWN, _DOWN], Indeterminate),
        (_call("PUT", Repeat.ONCE), [_DOWN, _DOWN, _DOWN], Unavailable),
        (_call("PUT", Repeat.ONCE), [Lost(""), _REFUSED], errors.NotFound),
        (_call("POST", Repeat.TWICE), [Lost("")], Indeterminate),
        (_call("POST", Repeat.TWICE), [_DOWN], Unavailable),
        (_call("POST", Repeat.TWICE), [NotSent(""), Lost("")], Indeterminate),
    ],
)
def test_a_call_is_repeated_while_that_is_safe(
    call: Call[None], failures: list[Failure], expected: type[CoagentError]
) -> None:
    attempts = Attempts(call, Retry(attempts=3))
    for failure in failures[:-1]:
        assert attempts.after(failure) >= 0
    with pytest.raises(expected):
        attempts.after(failures[-1])


@pytest.mark.parametrize(
    ("problem", "status", "expected"),
    [
        ({"code": "overloaded", "message": "full"}, 503, errors.RateLimited),
        ({"code": "forbidden_path", "path": "/x"}, 403, errors.Forbidden),
        ({"code": "of_a_later_version"}, 409, errors.Conflict),
        ({"code": "of_a_later_version"}, 418, errors.Refused),
        ({"code": "version_conflict", "version": 3}, 409, errors.VersionConflict),
        ({}, 503, errors.Unavailable),
        ({}, 500, errors.Refused),
    ],
)
def test_every_answer_has_its_error(problem: dict[str, Any], status: int, expected: type[CoagentError]) -> None:
    assert type(refusal(problem, status)) is expected


def test_a_forbidden_place_is_named() -> None:
    error = refusal({"code": "forbidden_path", "detail": "no", "path": "/x"}, 403)
    assert isinstance(error, errors.Forbidden)
    assert (error.paths, str(error)) == (("/x",), "forbidden_path: no")
