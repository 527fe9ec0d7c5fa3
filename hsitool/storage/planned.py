"""Cubes and outputs that a plan pretends to have: described, without pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsitool.cube import CubeInfo, Tile
from hsitool.storage import ends
from hsitool.storage.layout import Layout
from hsitool.storage.raw import Block, Bytes, Interleave
from hsitool.storage.readers import CubeReader
from hsitool.storage.writers import CubeWriter


class PlanStopError(Exception):
    """The step would read pixels now: a plan ends here."""


class PlannedEnds(ends.Ends):
    """The ends of a step that is planned; `before` is what the former step hands on."""

    def __init__(
        self, has_source: bool, before: tuple[CubeInfo, Interleave] | None, hands_on: bool
    ) -> None:
        self._has_source, self._before, self.hands_on = has_source, before, hands_on
        self.outputs: list[tuple[Path, CubeInfo]] = []
        self.handed_on: tuple[CubeInfo, Interleave] | None = None
        self.is_kept = self.stopped = False

    @property
    def before(self) -> CubeInfo | None:
        """What comes in from the former step, if that is known."""
        return None if self._before is None else self._before[0]

    @property
    def source(self) -> Callable[[], CubeReader] | None:
        return self._open if self._has_source else None

    @property
    def sink(self) -> Callable[[CubeInfo, Layout], CubeWriter] | None:
        return self._create if self.hands_on else None

    def made(self, path: Path, info: CubeInfo) -> None:
        self.outputs.append((path, info))

    def _open(self) -> CubeReader:
        if self._before is None:
            raise PlanStopError
        return _PlannedReader(*self._before, self)

    def _create(self, info: CubeInfo, like: Layout) -> CubeWriter:
        self.handed_on = info, like.interleave
        return _PlannedWriter(info, replace(like, in_order=True), ends.STANDARD)


class _PlannedReader(CubeReader):
    """Shows data in all bands, and stops the plan when it is read."""

    def __init__(self, info: CubeInfo, interleave: Interleave, plan: PlannedEnds) -> None:
        layout = Layout("stream", interleave, 1, info.columns, raw=True, in_order=True)
        super().__init__(ends.STANDARD, info, layout, ())
        self._plan = plan

    def read(
        self, tile: Tile, bands: Sequence[int] | None = None, buffer: Bytes | None = None
    ) -> Block:
        raise PlanStopError

    def glimpses(self, room: int) -> Iterator[Block]:
        yield np.ones((self.info.bands, 1, 1), self.info.dtype)

    def keep(self) -> None:
        self._plan.is_kept = True
        self.layout = replace(self.layout, in_order=False)

    def close(self) -> None:
        """Nothing is open."""


class _PlannedWriter(CubeWriter):
    """Takes nothing."""

    def write(self, tile: Tile, block: Block) -> None:
        raise AssertionError("a plan writes nothing")

    def commit(self) -> None:
        """Nothing was made."""

    def discard(self) -> None:
        """Nothing is there."""
