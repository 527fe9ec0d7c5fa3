"""Rasters that are read again by the command that made them, before they go where they are to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsitool.cube import Tile
from hsitool.storage import ends
from hsitool.storage.atomic import postponed
from hsitool.storage.readers import open_cube
from hsitool.storage.writers import OutputOptions, create_cube

LINES = 64
"""Copied at once, of rasters of scores."""


@contextmanager
def rereadable(target: Path, options: OutputOptions) -> Iterator[tuple[Path, OutputOptions]]:
    """Where and how to write a raster of scores so that it can be read afterwards.

    That is `target`; where that is `-` or does not appear at once, a temporary file whose content
    goes there in the end.
    """
    later = postponed()
    if target != ends.STANDARD and later is None:
        yield target, options
        return
    with tempfile.TemporaryDirectory(prefix="hsitool-") as folder:
        place = Path(os.path.realpath(folder)) / "scores.tif"
        if later is not None:
            later.except_in(place.parent)
        yield place, OutputOptions(lines=options.lines, threads=options.threads)
        with open_cube(place) as made, create_cube(target, made.info, made.layout, options) as sink:
            for row in range(0, made.info.rows, LINES):
                tile = Tile(row, 0, min(LINES, made.info.rows - row), made.info.columns)
                sink.write(tile, made.read(tile))
