"""Text files that appear only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from hsitool.storage.atomic import PartFolder, refuse_existing, told_of


def write_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a UTF-8 file.

    Raises:
        UsageError: it exists and may not be overwritten, or its folder is missing.
        DataError: it cannot be written.
    """
    with text_file(path, overwrite=overwrite) as file:
        file.write(text)


@contextmanager
def text_file(path: Path, *, overwrite: bool = False) -> Iterator[StringIO]:
    """A UTF-8 file that takes its name at the end; that it can be written is seen at the start.

    Raises:
        UsageError: it exists and may not be overwritten, or its folder is missing.
        DataError: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    refuse_existing([target], overwrite)
    folder = PartFolder(target)
    try:
        file = StringIO()
        yield file
        part = folder.path / "text"
        with told_of(target):
            part.write_text(file.getvalue(), "utf-8")
        folder.commit([(part, target)])
    except BaseException:
        folder.discard()
        raise
