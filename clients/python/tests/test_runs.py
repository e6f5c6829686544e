"""Runs without anybody who waits, with both clients against the real binary."""

from __future__ import annotations

import threading

import pytest

from coagent_runtime import AgentEvent, Client, NotFound, Retry, errors
from coagent_runtime.testing import Runtime

from .conftest import Connect
from .proxy import Proxy
from .test_agents import TALKER

SLOW = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
PATIENT = Retry(attempts=200, base=0.02, cap=0.2)


@pytest.fixture
def runtime_agents() -> dict[str, str]:
    return {"talker.yaml": TALKER, "broken.yaml": "agent: { kind: nothing }\n"}


def _text(events: list[AgentEvent]) -> str:
    return "".join(event.data["delta"] for event in events if event.type == "TEXT_MESSAGE_CONTENT")


def test_a_run_is_started_and_waited_for(client: Client) -> None:
    started = client.agent("talker").start("hi")
    assert started.accepted
    run = client.run(started.run_id)
    info = run.result()
    assert (info.run_id, info.agent, info.thread_id) == (started.run_id, "talker", started.thread_id)
    assert (info.status, info.is_over, info.cause.type, info.error) == ("succeeded", True, "api", None)
    assert info.started_at is not None
    assert info.finished_at is not None
    assert client.state("lifecycle", started.run_id).get().data["status"] == "succeeded"


def test_a_run_that_fails_says_why(client: Client) -> None:
    info = client.run(client.agent("talker").start("fail").run_id).result()
    assert info.error is not None
    assert (info.status, info.error.code, info.error.message) == ("failed", "told", "as told")


def test_runs_are_listed_by_agent_status_and_thread(client: Client) -> None:
    first = client.agent("talker").start("hi", thread_id="t")
    client.run(first.run_id).result()
    second = client.agent("talker").start(messages=[{"role": "user", "content": "fail"}], thread_id="u")
    client.run(second.run_id).result()
    assert [run.run_id for run in client.list_runs().items] == [second.run_id, first.run_id]
    page = client.list_runs(limit=1)
    assert page.next_cursor is not None
    assert [run.run_id for run in client.list_runs(cursor=page.next_cursor).items] == [first.run_id]
    assert [run.run_id for run in client.runs(status="failed")] == [second.run_id]
    assert [run.run_id for run in client.runs(agent="talker", thread="t")] == [first.run_id]
    assert list(client.runs(agent="nobody")) == []
    assert [run.run_id for run in client.runs(page_size=1)] == [second.run_id, first.run_id]


def test_a_run_is_cancelled_and_stays_so(client: Client) -> None:
    run = client.run(client.agent("talker").start("slow").run_id)
    assert run.cancel().status == "cancelled"
    assert run.cancel().status == "cancelled"
    assert run.result().status == "cancelled"


def test_what_is_not_there_or_cannot_run_says_so(client: Client) -> None:
    with pytest.raises(NotFound):
        client.run("none").get()
    with pytest.raises(NotFound):
        client.run("none").cancel()
    with pytest.raises(NotFound):
        client.run("none").result()
    with pytest.raises(NotFound):
        client.agent("nobody").start("hi")
    with pytest.raises(errors.AgentInvalid):
        client.agent("broken").start("hi")


def test_a_start_whose_answer_is_lost_happens_once(runtime: Runtime, connect: Connect) -> None:
    with Proxy(runtime.url) as proxy:
        proxy.drop_answers(2)
        started = connect(proxy.url).agent("talker").start("hi", idempotency_key="k")
        assert not started.accepted
        client = connect(runtime.url)
        assert client.agent("talker").start("hi", idempotency_key="k").run_id == started.run_id
        assert [run.run_id for run in client.runs()] == [started.run_id]


def test_a_result_is_waited_for_over_kill_9(runtime: Runtime, connect: Connect) -> None:
    client = connect(runtime.url, retry=PATIENT)
    run = client.run(client.agent("talker").start("slow").run_id)
    restarting = threading.Thread(target=runtime.restart)
    restarting.start()
    assert run.result().is_over
    restarting.join()


def test_a_run_is_followed_from_its_beginning_or_after_an_event(client: Client) -> None:
    run = client.run(client.agent("talker").start("hi").run_id)
    events = list(run.follow())
    assert (events[0].type, events[-1].type, _text(events)) == ("RUN_STARTED", "RUN_FINISHED", "Hello there")
    ids = [event.id for event in events if event.id]
    rest = list(run.follow(after=ids[1]))
    assert rest[-1].type == "RUN_FINISHED"
    assert "RUN_STARTED" not in {event.type for event in rest}
    with pytest.raises(NotFound):
        next(client.run("none").follow())


def test_a_run_that_is_cancelled_ends_its_followers(client: Client) -> None:
    run = client.run(client.agent("talker").start("slow").run_id)
    events = run.follow()
    next(events)
    run.cancel()
    assert list(events)[-1].is_terminal


def test_a_follower_reads_each_word_once_over_cuts(runtime: Runtime, connect: Connect) -> None:
    started = connect(runtime.url).agent("talker").start("slow")
    with Proxy(runtime.url) as proxy:
        done = threading.Event()

        def disturb() -> None:
            while not done.wait(0.06):
                proxy.cut()

        disturbing = threading.Thread(target=disturb)
        disturbing.start()
        events = []
        for event in connect(proxy.url, retry=PATIENT).run(started.run_id).follow():
            events.append(event)
            if event.type == "TEXT_MESSAGE_END":
                done.set()
        disturbing.join()
    assert _text(events) == SLOW
    kinds = [event.type for event in events]
    for once in ("RUN_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "RUN_FINISHED"):
        assert kinds.count(once) == 1


def test_a_follower_reads_on_after_kill_9(runtime: Runtime, connect: Connect) -> None:
    client = connect(runtime.url, retry=PATIENT)
    run = client.run(client.agent("talker").start("slow").run_id)
    events = []
    for event in run.follow():
        events.append(event)
        if len(events) == 6:
            runtime.restart()
    assert events[-1].is_terminal
    assert [event.type for event in events].count("RUN_STARTED") == 1
    # What was said in half is ended, and said again under another id.
    last = next(event.data["messageId"] for event in reversed(events) if event.type == "TEXT_MESSAGE_END")
    assert _text([event for event in events if event.data.get("messageId") == last]) == SLOW
    assert run.get().is_over
