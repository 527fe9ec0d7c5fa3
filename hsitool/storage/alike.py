"""What is made once for all cubes that are alike: those that differ in their provenance only.

Scenes of one camera are, and the header of each would take longer to make than its pixels.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from hsitool.cube import CubeInfo

T = TypeVar("T")
MOST = 8


class OnceForAlike(Generic[T]):
    """Keeps what was made last; threads may ask at the same time, and make it twice then."""

    def __init__(self) -> None:
        self._kept: dict[bytes, T] = {}

    def get(self, info: CubeInfo, more: Any, make: Callable[[CubeInfo], T]) -> T:
        """`make(info)`, without its provenance, where none was made with the same `more`."""
        bare = info.replace(provenance=())
        key = pickle.dumps((bare, more))  # texts and numbers; NaN equals itself there
        if (found := self._kept.get(key)) is None:
            found = make(bare)
            if len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[key] = found
        return found
