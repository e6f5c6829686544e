"""Written from the schema of `lifecycle` documents: change the schema, not this file.

Members a document lacks read as None: write one back with
`model_dump(mode="json", by_alias=True, exclude_unset=True)`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

__all__ = ["Lifecycle", "RunLifecycle", "Cause", "RunLifecycleError", "RunStatus", "RunUsage", "ModelUsage", "AgentLifecycle", "AgentLifecycleLastRun", "AgentLifecycleToday"]


class Lifecycle(RootModel):
    "Where a run (`lifecycle/<run_id>`) or an agent (`lifecycle/agent:<id>`) stands; written by the runtime alone."

    root: RunLifecycle | AgentLifecycle


class RunLifecycle(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    agent: str
    attempt: int = Field(ge=1)
    cause: Cause
    run_id: str
    status: RunStatus
    steps: int = Field(ge=0)
    thread_id: str
    usage: RunUsage
    error: RunLifecycleError | None = None
    finished_at: str | None = None
    pending_tool_calls: list[str] | None = Field(default=None, description="Calls that the browser is to answer.")
    queued_at: str | None = Field(default=None, description="RFC 3339; of runs that waited.")
    started_at: str | None = Field(default=None, description="Of the latest attempt; absent while it never started.")


class Cause(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    chain: list[str]
    depth: int = Field(ge=0)
    type: Literal["user", "api", "state", "cron", "interval", "webhook", "agent", "start"]
    agent: str | None = None
    doc: str | None = None
    name: str | None = None
    run_id: str | None = None


class RunLifecycleError(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    code: str
    message: str


class RunStatus(RootModel):
    root: Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled", "budget_exceeded", "superseded", "dead"]


class RunUsage(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    by_model: list[ModelUsage]
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    total_tokens: int = Field(ge=0)
    cost_usd: float | None = Field(default=None, description="Absent when no price is known for any of it.")


class ModelUsage(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    input_tokens: int = Field(ge=0)
    model: str = Field(description="`provider/model`, as far as it is known.")
    output_tokens: int = Field(ge=0)
    total_tokens: int = Field(ge=0)
    cost_usd: float | None = None


class AgentLifecycle(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    agent: str
    live: int = Field(ge=0, description="How many runs are at work.")
    paused: bool
    queued: int = Field(ge=0, description="How many runs wait.")
    status: Literal["ready", "paused", "disabled", "invalid", "absent"]
    today: AgentLifecycleToday
    last_run: AgentLifecycleLastRun | None = None


class AgentLifecycleLastRun(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    run_id: str
    status: RunStatus
    finished_at: str | None = None


class AgentLifecycleToday(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    day: str = Field(description="In UTC, as 2026-01-31.")
    runs: int = Field(ge=0, description="That are over.")
    usage: RunUsage
