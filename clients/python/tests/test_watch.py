"""Documents followed live, through cuts and crashes, with both clients against the real binary."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from pydantic import BaseModel

from coagent_runtime import Client, Deleted, Deletion, Delta, NotFound, Position, Retry, Snapshot, Unavailable, Update
from coagent_runtime._async import transport as async_transport
from coagent_runtime._sync import transport as sync_transport
from coagent_runtime.testing import Runtime

from .conftest import QUICK, Connect
from .proxy import Proxy


class Counter(BaseModel):
    n: int = 0


def test_a_watch_begins_with_a_snapshot_and_tells_every_version_with_its_author(client: Client) -> None:
    doc = client.state("shared", "a", Counter)
    doc.put(Counter(n=1))
    with doc.watch() as updates:
        first = next(updates)
        assert first == Snapshot(first.position, Counter(n=1), "new")
        doc.merge({"n": 2})
        doc.merge({"n": 3})
        second, third = next(updates), next(updates)
        assert isinstance(second, Delta)
        assert (second.version, second.from_version, second.data) == (2, 1, Counter(n=2))
        assert (second.ops, second.actor) == ([{"op": "add", "path": "/n", "value": 2}], "user:local")
        assert (third.version, third.data) == (3, Counter(n=3))
        assert updates.position == third.position


def test_a_watch_of_nothing_says_so(client: Client) -> None:
    doc = client.state("shared", "a")
    with pytest.raises(NotFound):
        next(doc.watch())
    doc.put({})
    doc.delete()
    with pytest.raises(Deleted):
        next(doc.watch())


def test_a_watch_goes_on_over_a_deletion(client: Client) -> None:
    doc = client.state("shared", "a")
    doc.put({"n": 1})
    with doc.watch() as updates:
        next(updates)
        doc.delete()
        gone = next(updates)
        assert (type(gone), gone.version, gone.data) == (Deletion, 2, None)
        doc.put({"n": 9})
        back = next(updates)
        assert (back.version, back.data) == (3, {"n": 9})


def test_a_deletion_during_a_cut_is_told_and_what_is_created_after_it_too(runtime: Runtime, connect: Connect) -> None:
    direct = connect(runtime.url).state("shared", "a")
    direct.put({"n": 1})
    with Proxy(runtime.url) as proxy, connect(proxy.url).state("shared", "a").watch() as updates:
        next(updates)
        proxy.stall()
        direct.delete()
        proxy.cut()
        assert [next(updates)] == [Deletion(Position(direct.get(version=1).epoch, 2))]
        direct.put({"n": 2})
        assert next(updates).data == {"n": 2}


def test_a_watch_goes_on_where_another_one_ended(client: Client) -> None:
    doc = client.state("shared", "a")
    for n in range(1, 4):
        doc.put({"n": n})
    epoch = doc.get().epoch
    with doc.watch(since=Position(epoch, 1)) as updates:
        told = list(islice(updates, 2))
    assert [(type(update), update.version, update.data) for update in told] == [
        (Delta, 2, {"n": 2}),
        (Delta, 3, {"n": 3}),
    ]
    with doc.watch(since=Position(epoch, 3)) as updates:
        doc.put({"n": 4})
        assert next(updates).version == 4
    with doc.watch(since=Position("of-another-life", 2)) as updates:
        anew = next(updates)
        assert isinstance(anew, Snapshot)
        assert (anew.version, anew.reason) == (4, "epoch")
    with doc.watch(since=Position(epoch, 99)) as updates:
        anew = next(updates)
        assert isinstance(anew, Snapshot)
        assert anew.reason == "epoch"


def test_a_watch_goes_on_after_a_tombstone(client: Client) -> None:
    doc = client.state("shared", "a")
    epoch = doc.put({"n": 1}).epoch
    doc.delete()
    doc.put({"n": 2})
    with doc.watch(since=Position(epoch, 2)) as updates:
        assert [update.data for update in islice(updates, 1)] == [{"n": 2}]


def _writer(client: Client, versions: int) -> threading.Thread:
    def write() -> None:
        doc = client.state("shared", "a")
        for n in range(1, versions):
            doc.put({"n": n, "list": list(range(n % 7))})

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def _followed(updates: Iterator[Update[Any]], last: int) -> list[Update[Any]]:
    told = []
    for update in updates:
        told.append(update)
        if update.version >= last:
            return told
    raise AssertionError("a watch does not end by itself")


def _expect_each_once(told: list[Update[Any]], last: int) -> None:
    assert [update.version for update in told] == list(range(1, last + 1))
    for update in told[1:]:
        assert isinstance(update, Delta)
        assert update.data == {"n": update.version - 1, "list": list(range((update.version - 1) % 7))}


def test_no_version_is_missing_or_told_twice_over_cut_connections(runtime: Runtime, connect: Connect) -> None:
    writer = connect(runtime.url)
    writer.state("shared", "a").put({"n": 0, "list": []})
    with Proxy(runtime.url) as proxy, connect(proxy.url).state("shared", "a").watch() as updates:
        told = [next(updates)]
        writing = _writer(writer, 60)
        while told[-1].version < 60:
            told.append(next(updates))
            if told[-1].version % 9 == 0:
                proxy.cut()
        writing.join()
    _expect_each_once(told, 60)


def test_no_version_is_missing_or_told_twice_over_kill_9(runtime: Runtime, connect: Connect) -> None:
    patient = Retry(attempts=200, base=0.02, cap=0.2)
    writer = connect(runtime.url, retry=patient)
    writer.state("shared", "a").put({"n": 0, "list": []})
    with connect(runtime.url, retry=patient).state("shared", "a").watch() as updates:
        told = [next(updates)]
        writing = _writer(writer, 40)
        for at in (10, 25):
            told += _followed(updates, at)
            runtime.restart()
        told += _followed(updates, 40)
        writing.join()
    _expect_each_once(told, 40)
    # Each write once too, although some answers died with the server.
    assert writer.state("shared", "a").get().version == 40


def test_a_connection_that_fell_silent_is_given_up(
    runtime: Runtime, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for transport in (async_transport, sync_transport):
        monkeypatch.setattr(transport, "SILENCE", 0.3)
    direct = connect(runtime.url).state("shared", "a")
    direct.put({"n": 1})
    with Proxy(runtime.url) as proxy, connect(proxy.url).state("shared", "a").watch() as updates:
        next(updates)
        proxy.stall()
        direct.put({"n": 2})
        assert next(updates).data == {"n": 2}


def test_a_watch_gives_up_only_when_it_is_told_to(runtime: Runtime, connect: Connect) -> None:
    doc = connect(runtime.url).state("shared", "a")
    doc.put({})
    with doc.watch(give_up_after=0.05) as updates:
        next(updates)
        runtime.kill()
        with pytest.raises(Unavailable):
            next(updates)
    # Before the first word it is as patient as any call.
    with pytest.raises(Unavailable):
        next(connect(runtime.url, retry=QUICK).state("shared", "a").watch())
    runtime.start()


def test_what_a_reader_was_told_does_not_change_under_it(client: Client) -> None:
    doc = client.state("shared", "a")
    doc.put({"list": [{"n": 1}], "other": {}})
    with doc.watch() as updates:
        first = next(updates)
        doc.patch([{"op": "replace", "path": "/list/0/n", "value": 2}])
        second = next(updates)
    assert (first.data, second.data) == ({"list": [{"n": 1}], "other": {}}, {"list": [{"n": 2}], "other": {}})
