"""What `-` means: standard input and output, or the neighbours of a step in a chain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsitool.cube import CubeInfo
    from hsitool.storage.layout import Layout
    from hsitool.storage.readers import CubeReader
    from hsitool.storage.writers import CubeWriter

STANDARD = Path("-")


class Ends(ABC):
    """What comes into a step of a chain by `-`, and goes out of it.

    Where it is None, that is the standard input or output of the process.
    """

    @property
    @abstractmethod
    def source(self) -> Callable[[], CubeReader] | None:
        """Opens what comes in."""

    @property
    @abstractmethod
    def sink(self) -> Callable[[CubeInfo, Layout], CubeWriter] | None:
        """Starts what goes out."""

    def made(self, path: Path, info: CubeInfo) -> None:  # noqa: B027 - most need not know
        """Told of every raster that is started."""


_current: ContextVar[Ends | None] = ContextVar("ends", default=None)


def current() -> Ends | None:
    """The ends of the step that this thread carries out, or None outside a chain."""
    return _current.get()


@contextmanager
def between(ends: Ends) -> Iterator[None]:
    """Within it, `-` means these ends."""
    token = _current.set(ends)
    try:
        yield
    finally:
        _current.reset(token)
