"""The state protocol without a socket: what is said again, under which numbers, and what readers are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coagent_runtime import Deletion, Indeterminate, Position, Snapshot, StorageFull, TooLarge, Unavailable, errors
from coagent_runtime._live.channel import ABSENT, KEPT, LOOK_AGAIN, Channel, Mutation
from coagent_runtime._live.conversation import Conversation
from coagent_runtime.errors import ProtocolError
from coagent_runtime.shape import Shape
from coagent_runtime.updates import Cursor, Gap

AT = "2026-01-01T00:00:00Z"


def _delta(start: int, end: int, **members: Any) -> dict[str, Any]:
    ops = [{"op": "add", "path": "/n", "value": end}]
    return {"from": start, "to": end, "ops": ops, "actor": "user:a", "at": AT, **members}


def test_a_cursor_tells_each_version_once_and_notices_what_is_missing() -> None:
    cursor: Cursor[Any] = Cursor(Shape())
    with pytest.raises(Gap):
        cursor.delta(_delta(1, 2))
    assert cursor.deleted(1) is None
    assert cursor.snapshot("e", 2, {"n": 2}, "new") == Snapshot(Position("e", 2), {"n": 2}, "new")
    assert cursor.snapshot("e", 2, {"n": 2}, "new") is None
    assert cursor.delta(_delta(1, 2)) is None
    told = cursor.delta(_delta(2, 5))
    assert told is not None
    assert (told.from_version, told.version, told.data) == (2, 5, {"n": 5})
    for missing in (_delta(6, 7), _delta(4, 6)):
        with pytest.raises(Gap):
            cursor.delta(missing)
    assert cursor.position == Position("e", 5)
    with pytest.raises(ProtocolError):
        cursor.delta({**_delta(5, 6), "ops": [{"op": "remove", "path": "/none"}]})
    assert cursor.deleted(6) == Deletion(Position("e", 6))
    assert cursor.deleted(6) is None
    assert cursor.delta(_delta(6, 7)) is not None
    assert cursor.snapshot("other", 1, {}, "epoch") is not None
    assert cursor.snapshot("other", 1, {}, "access") is not None


class Server:
    """The other side, written down."""

    def __init__(self) -> None:
        self.conversation = Conversation("me")
        self.conversation.connected()
        self.welcome()

    def welcome(self, **limits: int) -> None:
        limits = {"frame_bytes": 1 << 20, "in_flight": 100, **limits}
        self.says(type="welcome", connection_id="c", limits=limits)

    def says(self, now: float = 0.0, **frame: Any) -> None:
        self.conversation.hear(json.dumps(frame), now)

    def hears(self, now: float = 0.0) -> list[dict[str, Any]]:
        frames = []
        while (frame := self.conversation.next_frame(now)) is not None:
            frames.append(json.loads(frame))
        return frames

    def open(self, doc: str = "shared/a", create: Any = ABSENT) -> Channel:
        channel = self.conversation.open(doc, create, wants_presence=False)
        self.says(type="snapshot", channel=channel.number, epoch="e", version=1, data={}, reason="new")
        self.says(type="live", channel=channel.number, version=1)
        self.hears()
        return channel

    def mutate(self, channel: Channel, n: int) -> Mutation:
        return self.conversation.mutate(channel, {"merge": {"n": n}})

    def rejects(self, mutation_id: int, code: str, now: float = 0.0, **members: Any) -> None:
        self.says(now, type="reject", channel=1, mutation_id=mutation_id, code=code, message="", **members)

    def acks(self, mutation_id: int, channel: int = 1) -> None:
        self.says(type="ack", channel=channel, mutation_id=mutation_id, version=mutation_id + 1)

    def lets_in(self, channel: int = 1) -> None:
        self.says(type="live", channel=channel, version=1)

    def reconnects(self) -> list[dict[str, Any]]:
        """What is heard then, up to the opening of channels."""
        self.conversation.lost()
        self.conversation.connected()
        self.welcome()
        return self.hears()[1:]


SINCE = {"epoch": "e", "version": 1}


def _mutations(frames: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(frame["mutation_id"], frame["merge"]["n"]) for frame in frames if frame["type"] == "mutate"]


def test_hello_comes_first_and_nothing_of_one_connection_is_said_on_the_next() -> None:
    server = Server()
    assert [frame["type"] for frame in server.hears()] == ["hello"]
    channel = server.open()
    server.mutate(channel, 1)
    server.conversation.lost()
    server.mutate(channel, 2)
    assert server.hears() == []
    server.conversation.connected()
    assert [frame["type"] for frame in server.hears()] == ["hello"]
    server.welcome()
    assert server.hears() == [{"type": "subscribe", "channel": 1, "doc": "shared/a", "since": SINCE}]
    server.lets_in()
    assert _mutations(server.hears()) == [(1, 1), (2, 2)]


def test_what_the_server_has_no_time_for_is_said_again_later_and_in_order() -> None:
    server = Server()
    channel = server.open()
    mutations = [server.mutate(channel, n) for n in (1, 2, 3)]
    server.hears()
    server.rejects(1, "rate_limited", now=10.0, retry_ms=500)
    server.rejects(2, "mutation_gap", now=10.0, expect=1)
    server.rejects(3, "mutation_gap", now=10.0, expect=1)
    mutations.append(server.mutate(channel, 4))
    assert server.conversation.next_due() == 10.5
    assert server.hears(10.4) == []
    assert _mutations(server.hears(10.5)) == [(1, 1), (2, 2), (3, 3), (4, 4)]
    for mutation_id in (1, 2, 3, 4):
        server.acks(mutation_id)
    assert all(mutation.is_settled and mutation.error is None for mutation in mutations)


def test_a_refused_mutation_gives_its_number_on_where_the_server_kept_it_free() -> None:
    server = Server()
    channel = server.open()
    refused, second, third = [server.mutate(channel, n) for n in (1, 2, 3)]
    server.hears()
    server.rejects(1, "storage_full", retry_ms=1000)
    assert isinstance(refused.error, StorageFull)
    server.rejects(2, "mutation_gap", expect=1)
    server.rejects(3, "mutation_gap", expect=1)
    assert _mutations(server.hears()) == [(1, 2), (2, 3)]
    server.acks(1)
    server.acks(2)
    assert second.is_settled
    assert third.is_settled
    server.mutate(channel, 4)
    assert _mutations(server.hears()) == [(3, 4)]


def test_numbers_go_on_when_a_document_is_left_and_opened_again() -> None:
    server = Server()
    channel = server.open()
    server.mutate(channel, 1)
    server.hears()
    server.acks(1)
    unsent = server.mutate(channel, 2)
    server.conversation.leave(channel, Unavailable("left"))
    assert isinstance(unsent.error, Unavailable)
    assert server.hears()[-1] == {"type": "unsubscribe", "channel": 1}
    again = server.open()
    sent = server.mutate(again, 3)
    assert _mutations(server.hears()) == [(2, 3)]
    server.conversation.leave(again, Unavailable("left"))
    assert isinstance(sent.error, Indeterminate)
    server.mutate(server.open(), 4)
    assert (fresh := server.hears())[-1]["client_id"], "what becomes of the one before must not be its answer"
    assert _mutations(fresh) == [(1, 4)]


def test_a_channel_with_a_gap_is_opened_again_from_where_it_is() -> None:
    server = Server()
    channel = server.open()
    server.says(type="delta", channel=1, **_delta(3, 4))
    assert server.hears() == [
        {"type": "subscribe", "channel": 1, "doc": "shared/a", "since": {"epoch": "e", "version": 1}}
    ]
    server.says(type="error", channel=1, code="unavailable", message="store", now=5.0)
    assert server.hears(5.5) == []
    assert [frame["type"] for frame in server.hears(6.0)] == ["subscribe"]
    server.lets_in()
    server.mutate(channel, 1)
    assert _mutations(server.hears(6.0)) == [(1, 1)]
    server.rejects(1, "unsubscribed", now=6.0)
    assert [frame["type"] for frame in server.hears(6.0)] == ["subscribe"]
    server.lets_in()
    assert _mutations(server.hears(6.0)) == [(1, 1)]


def test_updates_that_nobody_takes_become_one_snapshot() -> None:
    server = Server()
    channel = server.open()
    for version in range(1, KEPT + 1):
        server.says(type="delta", channel=1, **_delta(version, version + 1))
    assert list(channel.updates) == [Snapshot(Position("e", KEPT + 1), {"n": KEPT + 1}, "slow")]


def test_a_refused_channel_ends_and_tells_sent_mutations_from_others() -> None:
    server = Server()
    channel = server.open()
    sent = server.mutate(channel, 1)
    server.hears()
    server.conversation.lost()
    unsent = server.mutate(channel, 2)
    server.conversation.connected()
    server.says(type="error", channel=1, code="forbidden", message="no more")
    assert isinstance(channel.failure, errors.Forbidden)
    assert isinstance(sent.error, Indeterminate)
    assert isinstance(unsent.error, errors.Forbidden)
    with pytest.raises(errors.Forbidden):
        server.mutate(channel, 3)
    # The others go on.
    server.welcome()
    assert not server.open("shared/b").failure


def test_what_is_too_large_for_the_server_is_not_sent() -> None:
    server = Server()
    server.welcome(frame_bytes=200, in_flight=2)
    channel = server.open()
    with pytest.raises(TooLarge) as large:
        server.conversation.mutate(channel, {"merge": {"n": "x" * 200}})
    assert large.value.limit_bytes == 200
    server.mutate(channel, 1)
    assert _mutations(server.hears()) == [(1, 1)]


def test_no_more_are_in_flight_than_the_server_takes_and_those_behind_them_keep_their_order() -> None:
    server = Server()
    server.welcome(in_flight=2)
    one, other = server.open(), server.open("shared/b")
    first, _, _, withdrawn, _ = [
        server.mutate(channel, n) for n, channel in enumerate([one, other, one, one, other], 1)
    ]
    assert _mutations(server.hears()) == [(1, 1), (1, 2)]
    assert server.hears() == []
    assert server.conversation.withdraw(one, withdrawn), "it was not sent"
    assert not server.conversation.withdraw(one, first)
    server.acks(1, channel=2)
    assert _mutations(server.hears()) == [(2, 3)]
    server.acks(1)
    server.acks(2)
    assert _mutations(server.hears()) == [(2, 5)]


def test_one_that_has_to_wait_is_sent_again_when_all_that_was_sent_is_answered() -> None:
    server = Server()
    channel = server.open()
    for n in (1, 2, 3):
        server.mutate(channel, n)
    server.hears()
    server.rejects(1, "overloaded", now=1.0, retry_ms=100)
    server.rejects(2, "client_unknown", now=1.0)
    assert server.conversation.next_due() is None, "the answer to the third is what is waited for"
    assert server.hears(2.0) == []
    server.rejects(3, "client_unknown", now=2.0)
    again = server.hears(2.0)
    assert _mutations(again) == [(1, 1), (2, 2), (3, 3)]
    assert not any("client_id" in frame for frame in again)


def test_mutations_are_sent_at_the_rate_that_the_server_allows() -> None:
    server = Server()
    server.welcome(mutations_per_second=10)
    channel = server.open()
    for n in range(20):
        server.mutate(channel, n)
    assert len(server.hears()) == 10
    assert server.conversation.next_due() == pytest.approx(0.1)
    assert len(server.hears(0.35)) == 3
    for number in range(1, 13):
        server.acks(number)
    server.rejects(13, "rate_limited", now=0.4, retry_ms=200)
    assert _mutations(server.hears(0.61)) == [(13, 12), (14, 13)]


def test_a_session_that_the_server_does_not_know_yet_begins_at_1_again() -> None:
    server = Server()
    channel = server.open()
    refused, second, third = [server.mutate(channel, n) for n in (1, 2, 3)]
    server.hears()
    server.rejects(1, "storage_full", retry_ms=1000)
    assert isinstance(refused.error, StorageFull)
    server.reconnects()
    server.lets_in()
    assert _mutations(server.hears()) == [(2, 2), (3, 3)]
    for number in (2, 3):
        server.rejects(number, "client_unknown")
    again = server.hears()
    assert _mutations(again) == [(1, 2), (2, 3)]
    assert again[0]["client_id"] == again[1]["client_id"] != "me"
    server.acks(1)
    server.acks(2)
    assert second.error is third.error is None


def test_of_a_session_that_was_forgotten_only_what_cannot_have_happened_is_sent_again() -> None:
    server = Server()
    channel = server.open()
    server.mutate(channel, 1)
    server.hears()
    server.acks(1)
    sent = server.mutate(channel, 2)
    server.hears()
    server.conversation.lost()
    unsent = server.mutate(channel, 3)
    server.reconnects()
    server.lets_in()
    assert _mutations(server.hears()) == [(2, 2), (3, 3)]
    server.rejects(2, "client_unknown")
    assert isinstance(sent.error, Indeterminate), "nobody knows"
    server.rejects(3, "client_unknown")
    assert not unsent.is_settled
    (again,) = server.hears()
    assert (again["mutation_id"], again["merge"], again["client_id"] != "me") == (1, {"n": 3}, True)


def test_a_document_that_was_lost_begins_again_as_it_was_to_begin_and_gets_what_waits() -> None:
    server = Server()
    channel = server.open(create={"n": 0})
    server.conversation.lost()
    waiting = server.mutate(channel, 1)
    server.reconnects()
    server.says(type="error", channel=1, code="not_found", message="there is none")
    expected = {"type": "subscribe", "channel": 1, "doc": "shared/a", "since": SINCE, "create": {"n": 0}}
    assert server.hears() == [expected]
    server.says(type="snapshot", channel=1, epoch="f", version=1, data={"n": 0}, reason="epoch")
    assert _mutations(server.hears()) == [(1, 1)]
    server.acks(1)
    assert waiting.answer is not None
    assert [type(update) for update in channel.updates] == [Snapshot, Snapshot]
    assert "create" not in server.reconnects()[0], "it is not begun again as long as it is there"


def test_a_document_that_was_deleted_during_a_cut_is_looked_for_and_its_mutations_are_refused() -> None:
    server = Server()
    channel = server.open(create={"n": 0})
    sent = server.mutate(channel, 1)
    server.hears()
    server.conversation.lost()
    unsent = server.mutate(channel, 2)
    server.reconnects()
    server.says(type="error", channel=1, code="deleted", message="it is deleted")
    assert isinstance(sent.error, Indeterminate)
    assert isinstance(unsent.error, errors.Deleted)
    assert list(channel.updates)[1:] == [Deletion(Position("e", 2))]
    assert server.hears() == []
    assert server.conversation.next_due() == LOOK_AGAIN
    looks = [{"type": "subscribe", "channel": 1, "doc": "shared/a"}]
    assert server.hears(LOOK_AGAIN) == looks
    server.says(LOOK_AGAIN, type="error", channel=1, code="deleted", message="it is deleted")
    assert len(channel.updates) == 2, "it is told once"
    # Whoever writes has the answer of now, and whoever replaces creates.
    refused = server.mutate(channel, 3)
    assert server.hears(LOOK_AGAIN) == looks
    server.says(LOOK_AGAIN, type="error", channel=1, code="deleted", message="it is deleted")
    assert isinstance(refused.error, errors.Deleted)
    server.conversation.mutate(channel, {"replace": {"n": 4}})
    assert server.hears(LOOK_AGAIN) == [{**looks[0], "create": {"n": 4}}]
    server.says(type="snapshot", channel=1, epoch="e", version=5, data={"n": 4}, reason="new")
    assert [frame["replace"] for frame in server.hears(LOOK_AGAIN)] == [{"n": 4}]
    assert channel.updates[-1] == Snapshot(Position("e", 5), {"n": 4}, "new")


def test_a_deletion_that_was_told_is_gone_on_from() -> None:
    server = Server()
    channel = server.open()
    server.says(type="deleted", channel=1, version=2)
    deleted = [{"type": "subscribe", "channel": 1, "doc": "shared/a", "since": {"epoch": "e", "version": 2}}]
    assert server.reconnects() == deleted
    server.says(type="error", channel=1, code="deleted", message="it is deleted")
    assert server.hears(LOOK_AGAIN) == deleted
    server.says(type="delta", channel=1, **_delta(2, 3))
    assert [update.version for update in channel.updates] == [1, 2, 3]


def test_a_conversation_that_was_refused_is_over() -> None:
    server = Server()
    channel = server.open()
    server.says(type="error", code="unauthenticated", message="no")
    assert isinstance(server.conversation.failure, errors.Unauthenticated)
    assert isinstance(channel.failure, errors.Unauthenticated)
    with pytest.raises(ProtocolError):
        server.conversation.hear("[]", 0.0)
    with pytest.raises(ProtocolError):
        server.conversation.hear("{", 0.0)
