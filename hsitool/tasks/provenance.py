"""What made a file: one entry a step, without time stamps, so that equal runs give equal files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import hsitool
from hsitool.cube import CubeInfo

_recipe: ContextVar[Mapping[str, Any] | None] = ContextVar("recipe", default=None)


@contextmanager
def made_by_recipe(record: Mapping[str, Any]) -> Iterator[None]:
    """What is made within it says so: `name`, `text` and `values` of the recipe."""
    token = _recipe.set(record)
    try:
        yield
    finally:
        _recipe.reset(token)


def current_recipe() -> Mapping[str, Any] | None:
    """The recipe that is carried out, or None."""
    return _recipe.get()


def with_step(info: CubeInfo, command: str, source: Path, settings: Mapping[str, Any]) -> CubeInfo:
    """`info` with one more step in its provenance; settings that are None are left out.

    The first step of a recipe holds it.
    """
    step: dict[str, Any] = {
        "tool": f"hsitool {hsitool.__version__}",
        "command": command,
        "input": source.name,
        "settings": {key: value for key, value in settings.items() if value is not None},
    }
    recipe = current_recipe()
    if recipe is not None and not any(s.get("recipe") is recipe for s in info.provenance):
        step["recipe"] = recipe
    return info.replace(provenance=(*info.provenance, step))
