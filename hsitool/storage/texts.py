"""Text files that appear only when they are complete."""

from __future__ import annotations

import os
from pathlib import Path

from hsitool.storage.atomic import PartFolder, refuse_existing, told_of


def write_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a UTF-8 file.

    Raises:
        UsageError: it exists and may not be overwritten, or its folder is missing.
        DataError: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    refuse_existing([target], overwrite)
    folder = PartFolder(target)
    try:
        part = folder.path / "text"
        with told_of(target):
            part.write_text(text, "utf-8")
        folder.commit([(part, target)])
    except BaseException:
        folder.discard()
        raise
