"""Rasters that are read again by the command that made them, before they go where they are to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsitool.cube import Tile
from hsitool.storage import ends
from hsitool.storage.readers import open_cube
from hsitool.storage.writers import OutputOptions, create_cube

LINES = 64
"""Copied at once, of rasters of scores."""


@contextmanager
def rereadable(target: Path, options: OutputOptions) -> Iterator[Path]:
    """Where to write a raster of scores so that it can be read afterwards.

    That is `target`; where that is `-`, a temporary file whose content goes there in the end.
    """
    if target != ends.STANDARD:
        yield target
        return
    with tempfile.TemporaryDirectory(prefix="hsitool-") as folder:
        place = Path(folder) / "scores.tif"
        yield place
        with open_cube(place) as made, create_cube(target, made.info, made.layout, options) as sink:
            for row in range(0, made.info.rows, LINES):
                tile = Tile(row, 0, min(LINES, made.info.rows - row), made.info.columns)
                sink.write(tile, made.read(tile))
