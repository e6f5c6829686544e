"""Calls about agents and runs (docs/agents.md §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from .._call import JSON, Answer, Call, Repeat, encoded, query_of, segment
from ..models import Page
from ..runs import AgentInfo, RunInfo, Started

Message = Mapping[str, Any]


def agents() -> Call[tuple[AgentInfo, ...]]:
    def read(answer: Answer) -> tuple[AgentInfo, ...]:
        return tuple(AgentInfo.model_validate(item) for item in answer.json()["items"])

    return Call("GET", "/v1/agents", read)


def agent(id: str) -> Call[AgentInfo]:
    return Call("GET", path(id), lambda answer: AgentInfo.model_validate(answer.json()))


def pause(id: str) -> Call[AgentInfo]:
    return Call("POST", f"{path(id)}/pause", lambda answer: AgentInfo.model_validate(answer.json()))


def resume(id: str) -> Call[AgentInfo]:
    return Call("POST", f"{path(id)}/resume", lambda answer: AgentInfo.model_validate(answer.json()))


def capabilities(id: str) -> Call[dict[str, Any]]:
    def read(answer: Answer) -> dict[str, Any]:
        return dict(answer.json())

    return Call("GET", f"{path(id)}/capabilities", read)


def path(id: str) -> str:
    return f"/v1/agents/{segment(id)}"


def run_path(run_id: str) -> str:
    return f"/v1/runs/{segment(run_id)}"


def start(
    id: str,
    prompt: str | None,
    messages: Sequence[Message],
    thread_id: str | None,
    state: Any,
    idempotency_key: str | None,
) -> Call[Started]:
    key = idempotency_key or uuid4().hex
    wanted = {
        "prompt": prompt,
        "messages": list(messages) or None,
        "thread_id": thread_id,
        "state": state,
        "idempotency_key": key,
    }
    body = {member: value for member, value in wanted.items() if value is not None}
    return Call(
        "POST", f"{path(id)}/runs", lambda answer: Started.model_validate(answer.json()), Repeat.ONCE,
        headers={"Content-Type": JSON}, body=encoded(body), idempotency_key=key,
    )  # fmt: skip


def run(run_id: str) -> Call[RunInfo]:
    return Call("GET", run_path(run_id), lambda answer: RunInfo.model_validate(answer.json()))


def cancel(run_id: str) -> Call[RunInfo]:
    return Call("POST", f"{run_path(run_id)}/cancel", lambda answer: RunInfo.model_validate(answer.json()))


def page(
    agent: str | None, status: str | None, thread: str | None, limit: int | None, cursor: str | None
) -> Call[Page[RunInfo]]:
    query = query_of(agent=agent, status=status, thread=thread, limit=limit, cursor=cursor)
    return Call("GET", "/v1/runs", lambda answer: Page[RunInfo].model_validate(answer.json()), query=query)


def input_of(
    prompt: str | None,
    messages: Sequence[Message],
    thread_id: str | None,
    run_id: str | None,
    state: Any,
    tools: Sequence[Mapping[str, Any]],
    context: Sequence[Mapping[str, Any]],
    forwarded_props: Mapping[str, Any] | None,
) -> bytes:
    """A `RunAgentInput`."""
    said = [{"id": uuid4().hex, **message} for message in messages]
    if prompt is not None:
        said.append({"id": uuid4().hex, "role": "user", "content": prompt})
    return encoded(
        {
            "threadId": thread_id or uuid4().hex,
            "runId": run_id or uuid4().hex,
            "messages": said,
            "state": {} if state is None else state,
            "tools": list(tools),
            "context": list(context),
            "forwardedProps": dict(forwarded_props or {}),
        }
    )
