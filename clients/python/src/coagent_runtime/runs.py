"""What the runtime answers about agents and their runs. Members this version does not know are ignored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from .models import Answered

OVER = frozenset({"waiting", "succeeded", "failed", "cancelled", "budget_exceeded", "superseded", "dead"})
"""The statuses of runs that nothing comes after by itself."""

TERMINALS = frozenset({"RUN_FINISHED", "RUN_ERROR"})
"""The events that end a run."""


class DefinitionError(Answered):
    """What is wrong with an agent's definition, and where."""

    file: str
    message: str
    line: int | None = None
    column: int | None = None
    path: str | None = None


class AgentInfo(Answered):
    """An agent: `status` is `ready`, `invalid`, `paused`, `disabled` or `absent`."""

    id: str
    status: str
    name: str | None = None
    description: str | None = None
    kind: str | None = None
    hash: str | None = None
    errors: tuple[DefinitionError, ...] = ()
    state: dict[str, Any] | None = None
    triggers: tuple[dict[str, Any], ...] = ()
    usage: dict[str, Any] = Field(default_factory=dict)


class Started(Answered):
    """A run that is stored, and happens whoever waits. `accepted` is false when the idempotency key was known."""

    run_id: str
    thread_id: str
    accepted: bool = True


class Cause(Answered):
    """What started a run, through which runs (`chain`), and how far from the first one."""

    type: str
    agent: str | None = None
    doc: str | None = None
    name: str | None = None
    run_id: str | None = None
    chain: tuple[str, ...] = ()
    depth: int = 0


class ModelUsage(Answered):
    """Tokens and, where prices are known, cost of one model."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cost_usd: float | None = None


class Usage(Answered):
    """Tokens and, where prices are known, cost of a run over all its attempts."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cost_usd: float | None = None
    by_model: tuple[ModelUsage, ...] = ()


class RunError(Answered):
    """Why a run failed."""

    code: str
    message: str


class RunInfo(Answered):
    """A run: where it stands, what caused it, what it used.

    `status`: `queued`, `running`, `waiting`, `succeeded`, `failed`, `cancelled`, `budget_exceeded`, `superseded` or
    `dead`.
    """

    run_id: str
    agent: str
    thread_id: str
    status: str
    cause: Cause
    started_at: datetime | None = None
    finished_at: datetime | None = None
    steps: int = 0
    step_list: tuple[dict[str, Any], ...] = ()
    usage: Usage = Field(default_factory=Usage)
    error: RunError | None = None
    pending_tool_calls: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after it by itself."""
        return self.status in OVER


@dataclass(frozen=True)
class AgentEvent:
    """An AG-UI event: its `type`, all its members as they came, and, if it has one, the id to go on after."""

    type: str
    data: dict[str, Any]
    id: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the run ends with it."""
        return self.type in TERMINALS
