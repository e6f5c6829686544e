"""Written from the schema of `task` documents: change the schema, not this file.

Members a document lacks read as None: write one back with
`model_dump(mode="json", by_alias=True, exclude_unset=True)`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

__all__ = ["Task"]


class Task(BaseModel):
    "A piece of work that people and agents hand to each other."

    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    status: Literal["new", "ready", "running", "done", "failed", "cancelled"]
    title: str
    assignee: str | None = Field(default=None, description="Whose it is: `user:<id>` or `agent:<id>`.")
    error: Any = Field(default=None, description="Why it failed.")
    input: Any = Field(default=None, description="What is to be worked on.")
    labels: Any = None
    progress: float | None = Field(default=None, ge=0, le=1)
    result: Any = Field(default=None, description="What came of it.")
