"""Agents as AG-UI endpoints, with both clients against the real binary."""

from __future__ import annotations

import pytest

from coagent_runtime import AgentEvent, Client, Indeterminate, NotFound, StreamLost, Unavailable, errors
from coagent_runtime.testing import Runtime

from .conftest import Connect
from .proxy import Proxy

TALKER = """
agent:
  kind: native
  name: scripted
  config:
    pace: 20ms
    turns:
      - when: { text: fail }
        do: [ { say: "I will try" }, { fail: { message: "as told", code: told } } ]
      - when: { text: slow }
        do: [ { say: "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen" } ]
      - do: [ { say: "Hello there" } ]
"""


@pytest.fixture
def runtime_agents() -> dict[str, str]:
    return {"talker.yaml": TALKER, "broken.yaml": "agent: { kind: nothing }\n"}


def test_agents_are_listed_with_what_is_wrong_with_them(client: Client) -> None:
    agents = {agent.id: agent for agent in client.agents()}
    assert (agents["talker"].status, agents["talker"].kind) == ("ready", "native")
    assert agents["broken"].status == "invalid"
    assert agents["broken"].errors[0].file.endswith("broken.yaml")
    assert client.agent("talker").info() == agents["talker"]
    assert client.agent("talker").capabilities()["transport"]["streaming"] is True
    with pytest.raises(NotFound):
        client.agent("nobody").info()


def _text(events: list[AgentEvent]) -> str:
    return "".join(event.data["delta"] for event in events if event.type == "TEXT_MESSAGE_CONTENT")


def test_an_agent_is_run_to_its_end(client: Client) -> None:
    events = list(client.agent("talker").stream("hi", thread_id="t", run_id="r"))
    assert events[0].type == "RUN_STARTED"
    assert (events[0].data["threadId"], events[0].data["runId"]) == ("t", "r")
    assert _text(events) == "Hello there"
    assert events[-1].type == "RUN_FINISHED"
    assert events[-1].is_terminal


def test_a_paused_agent_takes_no_runs_until_it_is_resumed(runtime: Runtime, client: Client) -> None:
    talker = client.agent("talker")
    assert talker.pause().status == "paused"
    runtime.restart()
    with pytest.raises(errors.AgentPaused):
        talker.start("hello")
    assert talker.resume().status == "ready"
    assert client.run(talker.start("hello").run_id).result().status == "succeeded"


def test_a_run_that_fails_ends_with_its_error(client: Client) -> None:
    events = list(client.agent("talker").stream("fail"))
    assert (events[-1].type, events[-1].data["code"]) == ("RUN_ERROR", "told")


def test_what_cannot_run_says_why(client: Client) -> None:
    with pytest.raises(errors.AgentInvalid):
        next(client.agent("broken").stream("hi"))
    with pytest.raises(NotFound):
        next(client.agent("nobody").stream("hi"))
    busy = client.agent("talker").stream("slow", thread_id="t")
    next(busy)
    with pytest.raises(errors.ThreadBusy) as refused:
        next(client.agent("talker").stream("hi", thread_id="t"))
    assert refused.value.run_id
    assert list(busy)[-1].type == "RUN_FINISHED"


def test_a_stream_that_is_cut_says_so(runtime: Runtime, connect: Connect) -> None:
    with Proxy(runtime.url) as proxy:
        events = connect(proxy.url).agent("talker").stream("slow")
        next(events)
        proxy.cut()
        with pytest.raises(StreamLost):
            list(events)
        proxy.drop_answers(1)
        with pytest.raises(Indeterminate):
            next(connect(proxy.url).agent("talker").stream("hi"))
    runtime.kill()
    with pytest.raises(Unavailable):
        next(connect(runtime.url).agent("talker").stream("hi"))
    runtime.start()
