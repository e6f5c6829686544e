"""Written from the schema of `work_items` documents: change the schema, not this file.

Members a document lacks read as None: write one back with
`model_dump(mode="json", by_alias=True, exclude_unset=True)`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

__all__ = ["WorkItems", "WorkItemsItem"]


class WorkItems(RootModel):
    root: list[WorkItemsItem]


class WorkItemsItem(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    n: int | None = None
