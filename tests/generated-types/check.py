"""Loads the generated models and reads, refuses and writes values with them."""

import importlib.util
import json
import sys
import warnings
from pathlib import Path

from pydantic import ValidationError

warnings.simplefilter("error")


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(sys.argv[1]) / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def refuses(model, value) -> None:
    try:
        model.model_validate(value)
    except ValidationError:
        return
    raise AssertionError(f"{model.__name__} takes {value}")


Board, Task, WorkItems = load("board").Board, load("task").Task, load("work_items").WorkItems
value = json.loads(sys.argv[2])
board = Board.model_validate(value)
assert board.columns[0].cards[0].below[0].id == "d"
assert board.special.since == "2026-01-01"
written = board.model_dump(mode="json", by_alias=True, exclude_unset=True)
assert written == value, written
refuses(Board, {"columns": []})
refuses(Board, {**value, "other": 1})
refuses(Board, {**value, "votes": -1})
refuses(Board, {**value, "ratio": 0})
refuses(Board, {**value, "tags": ["blue"]})

task = Task.model_validate({"title": "t", "status": "new", "extra": {"kept": 1}})
assert task.model_dump(mode="json", exclude_unset=True) == {"title": "t", "status": "new", "extra": {"kept": 1}}
refuses(Task, {"title": "t", "status": "idle"})
refuses(Task, {"title": "t", "status": "new", "progress": 2})
assert WorkItems.model_validate([{"n": 1}]).root[0].n == 1
