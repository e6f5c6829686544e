"""Written from the schema of `board` documents: change the schema, not this file.

Members a document lacks read as None: write one back with
`model_dump(mode="json", by_alias=True, exclude_unset=True)`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

__all__ = ["Board", "Column", "Card", "BoardNested", "BoardNestedDeep", "Person", "BoardShapeOption1", "BoardSpecial"]


class Board(BaseModel):
    "Cards in columns, with */ and \"quotes\" in its text."

    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())

    columns: list[Column]
    name: str
    field_1st: Any = Field(default=None, alias="1st")
    field__private: str | float | None = Field(default=None, alias="_private")
    class_: Literal["board"] | None = Field(default=None, alias="class")
    fraction: Any = None
    key: str | None = Field(default=None, description="Of the webhook. Written only: it is never sent.")
    nested: BoardNested | None = None
    never: Any = None
    owner: Person | None = None
    ratio: float | None = Field(default=None, le=1, gt=0)
    schema_: str | None = Field(default=None, alias="schema")
    shape: BoardShapeOption1 | list[float] | None = None
    sizes: dict[str, float] | None = None
    special: BoardSpecial | None = None
    tags: list[Literal["red", "green", None, 3, True]] | None = None
    votes: int | None = Field(default=None, ge=0)
    with_dash: bool | None = Field(default=None, alias="with-dash")


class Column(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    id: str
    cards: list[Card] | None = None


class Card(BaseModel):
    "A card may hold cards."

    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    id: str
    below: list[Card] | None = None


class BoardNested(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    deep: BoardNestedDeep


class BoardNestedDeep(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    er: bool | None = None


class Person(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    name: str


class BoardShapeOption1(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    radius: float | None = None


class BoardSpecial(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, protected_namespaces=())

    name: str
    since: str
