"""Runs without anybody who waits, with both clients against the real binary."""

from __future__ import annotations

import threading

import pytest

from coagent_runtime import Client, NotFound, Retry, errors
from coagent_runtime.testing import Runtime

from .conftest import Connect
from .proxy import Proxy
from .test_agents import TALKER

PATIENT = Retry(attempts=200, base=0.02, cap=0.2)


@pytest.fixture
def runtime_agents() -> dict[str, str]:
    return {"talker.yaml": TALKER, "broken.yaml": "agent: { kind: nothing }\n"}


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
