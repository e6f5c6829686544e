"""How a document's JSON becomes a value of the caller's type, and back."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter

S = TypeVar("S")


class Shape(Generic[S]):
    """Reads and writes documents as `model`: a pydantic model or any other type that pydantic understands."""

    def __init__(self, model: Any = Any) -> None:
        self._adapter: TypeAdapter[S] | None = None if model is Any else TypeAdapter(model)

    def read(self, value: Any) -> S:
        """The document as the caller's type; `pydantic.ValidationError` if it has another shape."""
        if self._adapter is None:
            plain: S = value
            return plain
        return self._adapter.validate_python(value)

    def write(self, value: S) -> Any:
        """Plain JSON data, by alias. Members of models that are `None` because nobody set them are left out."""
        if self._adapter is None:
            return value
        return self._adapter.dump_python(value, mode="json", by_alias=True, exclude=_unset(value))


def _unset(value: Any) -> Any:
    """What pydantic's `exclude` calls the members that nobody set."""
    if isinstance(value, BaseModel):
        spec: dict[Any, Any] = {}
        for name in type(value).model_fields:
            member = getattr(value, name)
            if member is None and name not in value.model_fields_set:
                spec[name] = True
            elif below := _unset(member):
                spec[name] = below
        return spec or None
    if isinstance(value, dict):
        return {key: below for key, item in value.items() if (below := _unset(item))} or None
    if isinstance(value, list | tuple):
        return {place: below for place, item in enumerate(value) if (below := _unset(item))} or None
    return None
