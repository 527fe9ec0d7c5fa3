"""Pictures of results, by Matplotlib: it is imported here alone, when a picture is asked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsitool.errors import UsageError
from hsitool.storage.atomic import PartFolder, refuse_existing, told_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe and Ito's colours, which the colour-blind can tell apart; markers differ as well."""

MARKERS = "osD^vP"

UNDATED: dict[str, dict[str, Any]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
"""What is left out of a picture so that it is the same every time, by the ending of its name."""


def check_plot(path: Path, overwrite: bool = False) -> None:
    """Refuse a picture that could not be written in the end.

    Raises:
        UsageError: an unknown ending, no Matplotlib, or the file exists.
    """
    if path.suffix.lower() not in UNDATED:
        raise UsageError(f"{path}: a plot is a picture: name it .png, .svg or .pdf")
    require_matplotlib()
    refuse_existing([path], overwrite)


def require_matplotlib() -> None:
    """Refuse a picture that nothing could draw.

    Raises:
        UsageError: no Matplotlib.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("a plot needs Matplotlib: pip install matplotlib")


def new_figure(width: float = 11, height: float = 4.5) -> Figure:
    """An empty figure of so many inches, to be drawn without a display."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it would talk of its font cache

    from matplotlib import rcParams
    from matplotlib.figure import Figure

    rcParams["svg.hashsalt"] = "hsitool"
    return Figure(figsize=(width, height), layout="constrained")


def save_picture(figure: Figure, path: Path, overwrite: bool, dpi: float = 150) -> None:
    """Write the picture whole or not at all; `dpi` matters to pixels only."""
    with picture_file(path, overwrite, dpi) as save:
        save(figure)


@contextmanager
def picture_file(
    path: Path, overwrite: bool, dpi: float = 150
) -> Iterator[Callable[[Figure], None]]:
    """A picture that takes its name at the end; what is given saves a figure into it."""
    target = Path(os.path.realpath(path))
    refuse_existing([target], overwrite)
    folder = PartFolder(target)
    part = folder.path / f"picture{path.suffix.lower()}"

    def save(figure: Figure) -> None:
        with told_of(target):
            figure.savefig(part, dpi=dpi, metadata=UNDATED[path.suffix.lower()])

    try:
        yield save
        folder.commit([(part, target)])
    except BaseException:
        folder.discard()
        raise
