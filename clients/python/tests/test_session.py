"""Sessions over a WebSocket, with both clients against the real binary."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from coagent_runtime import (
    AsyncClient,
    Client,
    Conflict,
    Deleted,
    Deletion,
    Delta,
    Indeterminate,
    Invalid,
    NotFound,
    Retry,
    Session,
    Snapshot,
    TooLarge,
    Unavailable,
    VersionConflict,
    intents,
)
from coagent_runtime.testing import Runtime

from .conftest import Connect
from .proxy import Proxy

PATIENT = Retry(attempts=200, base=0.02, cap=0.2)


class Counter(BaseModel):
    n: int = 0


@pytest.fixture
def session(client: Client) -> Iterator[Session]:
    with client.session() as session:
        yield session


def test_a_document_is_opened_changed_and_followed(session: Session, client: Client) -> None:
    counter = session.open("shared", "ä/b", Counter, create=Counter(n=1))
    assert (counter.data, counter.version) == (Counter(n=1), 1)
    done = counter.mutate(intents=[intents.inc("/n")], reason="why")
    assert (done.version, done.duplicate) == (2, False)
    client.state("shared", "ä/b").merge({"n": 5})
    told = [next(updates) for updates in [iter(counter)] for _ in range(3)]
    assert [(type(update), update.data) for update in told] == [
        (Snapshot, Counter(n=1)),
        (Delta, Counter(n=2)),
        (Delta, Counter(n=5)),
    ]
    assert counter.data == Counter(n=5)
    assert client.state("shared", "ä/b").history().items[1].reason == "why"
    counter.mutate(replace=Counter(n=7))
    counter.mutate(patch=[{"op": "replace", "path": "/n", "value": 8}])
    counter.mutate(merge={"n": 9}, base=4, if_version=5)
    assert client.state("shared", "ä/b").get().data == {"n": 9}
    tried = counter.mutate(merge={"n": 0}, dry_run=True)
    assert tried.data == Counter(n=0)
    assert client.state("shared", "ä/b").get().data == {"n": 9}


def test_refusals_are_typed_and_block_nothing(session: Session) -> None:
    with pytest.raises(NotFound):
        session.open("shared", "none")
    doc = session.open("shared", "a", create={"n": 1})
    with pytest.raises(VersionConflict) as conflict:
        doc.mutate(merge={"n": 2}, if_version=9)
    assert conflict.value.current_version == 1
    with pytest.raises(Conflict):
        doc.mutate(patch=[{"op": "test", "path": "/n", "value": 5}])
    with pytest.raises(Invalid):
        doc.mutate(patch=[{"op": "explode", "path": "/n"}])
    with pytest.raises(TooLarge):
        doc.mutate(merge={"n": "x" * (2 << 20)})
    with pytest.raises(ValueError, match="exactly one"):
        doc.mutate(merge={}, replace={})
    with pytest.raises(ValueError, match="open already"):
        session.open("shared", "a")
    assert doc.mutate(merge={"n": 2}).version == 2


def test_a_document_can_be_left_and_opened_again(session: Session) -> None:
    doc = session.open("shared", "a", create={"n": 1})
    doc.mutate(merge={"n": 2})
    doc.leave()
    with pytest.raises(Unavailable):
        doc.mutate(merge={"n": 3})
    again = session.open("shared", "a")
    assert again.mutate(merge={"n": 4}).version == 3


def test_all_documents_of_a_session_are_followed_in_one_loop(runtime: Runtime, connect: Connect) -> None:
    with connect(runtime.url, retry=PATIENT).session() as session:
        for name in ("a", "b"):
            session.open("shared", name, Counter, create=Counter(n=1))
        writer = connect(runtime.url)
        told = iter(session.updates())

        def next_of() -> tuple[str, int, object]:
            doc, update = next(told)
            return doc.id, update.version, update.data

        assert [next_of(), next_of()] == [("a", 1, Counter(n=1)), ("b", 1, Counter(n=1))]
        writer.state("shared", "b").merge({"n": 2})
        assert next_of() == ("b", 2, Counter(n=2))
        runtime.restart()
        writer.state("shared", "a").merge({"n": 3})
        assert next_of() == ("a", 2, Counter(n=3))
        late = session.open("shared", "c", create={})
        assert next_of() == ("c", 1, {})
        writer.state("shared", "b").delete()
        assert next_of() == ("b", 3, None)
        late.leave()
        writer.state("shared", "c").merge({"n": 1})
        writer.state("shared", "a").merge({"n": 4})
        assert next_of() == ("a", 3, Counter(n=4))


@pytest.mark.parametrize("opened", [True, False])
def test_a_loop_over_a_session_ends_with_what_ends_the_session(session: Session, opened: bool) -> None:
    told = iter(session.updates())
    if opened:
        session.open("shared", "a", create={})
        next(told)
    session.close()
    with pytest.raises(Unavailable):
        next(told)


def test_a_deletion_is_told_and_a_replacement_creates_again(session: Session, client: Client) -> None:
    doc = session.open("shared", "a", create={"n": 1})
    client.state("shared", "a").delete()
    updates = iter(doc)
    next(updates)
    assert isinstance(next(updates), Deletion)
    assert doc.data == {}
    assert doc.mutate(replace={"n": 2}).version == 3
    assert next(updates).data == {"n": 2}


def test_who_is_there_is_known(session: Session, client: Client) -> None:
    doc = session.open("shared", "a", create={}, presence=True)
    with client.session() as other:
        guest = other.open("shared", "a", presence=True)
        guest.present({"at": "/title"})
        while not doc.peers:
            # Presence comes beside the updates, which it need not wait for.
            doc.mutate(merge={})
        assert doc.peers == {other.connection_id: {"principal": "user:local", "data": {"at": "/title"}}}
        guest.absent()
        while doc.peers:
            doc.mutate(merge={})


def test_many_mutations_are_in_flight_and_keep_their_order(session: Session, client: Client) -> None:
    doc = session.open("shared", "a", create={"list": []})
    other = session.open("shared", "b", create={"list": []})

    def append(to: int) -> None:
        (doc if to % 2 else other).mutate(intents=[intents.append("/list", to)])

    threads = [threading.Thread(target=append, args=(n,)) for n in range(150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(client.state("shared", "a").get().data["list"]) == list(range(1, 150, 2))
    assert sorted(client.state("shared", "b").get().data["list"]) == list(range(0, 150, 2))


def test_each_mutation_has_its_effect_once_over_cuts_and_kill_9(runtime: Runtime, connect: Connect) -> None:
    with Proxy(runtime.url) as proxy, connect(proxy.url, retry=PATIENT).session() as session:
        doc = session.open("shared", "a", create={"n": 0, "list": []})
        updates = iter(doc)
        versions = [next(updates).version]
        done = threading.Event()

        def disturb() -> None:
            for turn in range(12):
                if done.wait(0.05):
                    return
                if turn % 5 == 4:
                    runtime.restart()
                else:
                    proxy.cut()

        disturbing = threading.Thread(target=disturb)
        disturbing.start()
        for n in range(1, 61):
            doc.mutate(intents=[intents.inc("/n"), intents.append("/list", n)], timeout=None)
        done.set()
        disturbing.join()
        while versions[-1] < 61:
            versions.append(next(updates).version)
        assert versions == list(range(1, 62))
        assert doc.data == {"n": 60, "list": list(range(1, 61))}
    with connect(runtime.url) as client:
        assert client.state("shared", "a").get().data == {"n": 60, "list": list(range(1, 61))}


def test_a_session_comes_back_after_a_server_that_said_goodbye(runtime: Runtime, connect: Connect) -> None:
    with connect(runtime.url, retry=PATIENT).session() as session:
        doc = session.open("shared", "a", create={"n": 0})
        runtime.stop()
        runtime.start()
        assert doc.mutate(merge={"n": 1}).version == 2


def test_a_mutation_without_an_answer_in_time_is_indeterminate_and_still_on_its_way(
    runtime: Runtime, connect: Connect
) -> None:
    with connect(runtime.url, retry=PATIENT).session() as session:
        doc = session.open("shared", "a", create={"n": 0})
        runtime.kill()
        with pytest.raises(Indeterminate):
            doc.mutate(intents=[intents.inc("/n")], timeout=0.05)
        runtime.start()
        doc.mutate(intents=[intents.inc("/n")])
        assert doc.data == {"n": 2}


def test_a_session_needs_a_server_and_ends_whoever_waits(runtime: Runtime, connect: Connect) -> None:
    client = connect(runtime.url)
    with client.session() as session:
        doc = session.open("shared", "a", create={})
        updates = iter(doc)
        next(updates)
        runtime.kill()
    with pytest.raises(Unavailable):
        next(updates)
    with pytest.raises(Unavailable):
        client.session().__enter__()
    runtime.start()


def test_a_document_that_is_deleted_during_a_cut_is_told_so_and_seen_when_it_is_made_again(
    runtime: Runtime, connect: Connect
) -> None:
    direct = connect(runtime.url).state("shared", "a")
    with Proxy(runtime.url) as proxy, connect(proxy.url).session() as session:
        doc = session.open("shared", "a", create={"n": 0})
        updates = iter(doc)
        next(updates)
        proxy.stall()
        direct.delete()
        proxy.cut()
        assert isinstance(next(updates), Deletion)
        assert doc.data == {}
        with pytest.raises(Deleted):
            doc.mutate(merge={"n": 1})
        direct.put({"n": 2})
        assert doc.mutate(intents=[intents.inc("/n")]).version == 4
        assert next(updates).data == {"n": 2}
        assert next(updates).data == {"n": 3}
        proxy.stall()
        direct.delete()
        proxy.cut()
        assert isinstance(next(updates), Deletion)
        assert doc.mutate(replace={"n": 4}).version == 6
        assert next(updates).data == {"n": 4}


def test_a_session_goes_on_over_a_store_that_was_lost(runtime: Runtime, connect: Connect) -> None:
    with connect(runtime.url, retry=PATIENT).session() as session:
        connect(runtime.url).state("shared", "theirs").put({"n": 0})
        ours, theirs = session.open("shared", "ours", create={"n": 0}), session.open("shared", "theirs")
        for doc in (ours, theirs):
            for n in (1, 2, 3):
                doc.mutate(merge={"n": n})
        runtime.kill()
        for file in runtime.home.glob("coagent.db*"):
            file.unlink()
        runtime.start()
        assert ours.mutate(intents=[intents.inc("/n")]).version == 2
        assert ours.data == {"n": 1}
        with pytest.raises(NotFound):
            theirs.mutate(merge={"n": 4})
        connect(runtime.url).state("shared", "theirs").put({"n": 7})
        assert theirs.mutate(intents=[intents.inc("/n")]).version == 2
        assert theirs.data == {"n": 8}


def test_a_session_goes_on_over_a_backup_that_was_restored(runtime: Runtime, connect: Connect) -> None:
    with connect(runtime.url, retry=PATIENT).session() as session:
        doc = session.open("shared", "a", create={"n": 0})
        runtime.stop()
        backup = {file: file.read_bytes() for file in runtime.home.glob("coagent.db*")}
        runtime.start()
        for n in (1, 2, 3):
            doc.mutate(merge={"n": n})
        runtime.stop()
        for file in runtime.home.glob("coagent.db*"):
            file.unlink()
        for file, content in backup.items():
            file.write_bytes(content)
        runtime.start()
        assert doc.mutate(intents=[intents.inc("/n")]).version == 2
        assert doc.data == {"n": 1}


def test_a_burst_on_one_document_is_carried_out_once_each_and_drains(runtime: Runtime) -> None:
    async def main() -> None:
        async with AsyncClient(runtime.url) as client, client.session() as session:
            docs = [await session.open("shared", f"{n}", create={"n": 0}) for n in range(60)]
            bursts = [(docs[0], 1500), *((doc, 5) for doc in docs[1:])]
            calls = [doc.mutate(intents=[intents.inc("/n")]) for doc, times in bursts for _ in range(times)]
            await asyncio.gather(*calls)
            assert [doc.data["n"] for doc in docs] == [1500, *[5] * 59]

    asyncio.run(main())


def test_a_caller_that_is_cancelled_takes_nothing_with_it(runtime: Runtime) -> None:
    async def main() -> None:
        async with AsyncClient(runtime.url) as client, client.session() as session:
            doc = await session.open("shared", "a", create={"list": []})
            calls = [asyncio.ensure_future(doc.mutate(intents=[intents.append("/list", n)])) for n in range(20)]
            # Each call is at another place of its way when it is cancelled.
            for turn, call in enumerate(calls[::2]):
                for _ in range(turn):
                    await asyncio.sleep(0)
                call.cancel()
            await asyncio.gather(*calls[1::2])
            runtime.kill()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.open("shared", "b", create={}), 0.05)
            runtime.start()
            assert (await session.open("shared", "b", create={})).version == 1
            kept = (await client.state("shared", "a").get()).data["list"]
            assert [n for n in kept if n % 2] == list(range(1, 20, 2))

    asyncio.run(main())
