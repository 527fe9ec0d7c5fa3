"""What `-` means: standard input and output, or the neighbours of a step in a chain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsitool.cube import CubeInfo
    from hsitool.storage.layout import Layout
    from hsitool.storage.readers import CubeReader
    from hsitool.storage.wavelengths import SpectralTexts
    from hsitool.storage.writers import CubeWriter

STANDARD = Path("-")


class Ends(ABC):
    """What comes into a step of a chain by `-`, and goes out of it."""

    @abstractmethod
    def open(self, more: Sequence[SpectralTexts]) -> CubeReader:
        """The cube that comes in."""

    @abstractmethod
    def create(self, info: CubeInfo, like: Layout) -> CubeWriter:
        """Where a cube goes out."""


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


def is_standard(path: Path) -> bool:
    """Whether a path is `-`."""
    return path == STANDARD
