"""Folders of files that appear together, when all of them are complete."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hsitool.errors import UsageError
from hsitool.storage.atomic import PartFolder, refuse_existing, told_of


def refuse_folder(folder: Path, names: Iterable[str], overwrite: bool) -> None:
    """Refuse a folder into which files of these names could not be written in the end.

    Raises:
        UsageError: it is a file, a file exists and may not be overwritten, or its own folder is
            missing.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder")
    if not folder.parent.is_dir():
        raise UsageError(f"the folder of {folder} does not exist: make it first")
    if folder.is_dir():
        refuse_existing([folder / name for name in names], overwrite)


@contextmanager
def files_of_folder(
    folder: Path, names: Sequence[str], stale: Iterable[str] = ()
) -> Iterator[Path]:
    """A hidden place for files of these names, which take their places in `folder` at the end.

    The folder is made where it is missing. Files that are there already are replaced, `stale` ones
    removed; the last name is that of the file that comes last.

    Raises:
        DataError: the folder cannot be made, or a file cannot be written.
    """
    folder = Path(os.path.realpath(folder))
    made = not folder.is_dir()
    with told_of(folder):
        folder.mkdir(exist_ok=True)
    try:
        part = PartFolder(folder / names[-1])
        try:
            yield part.path
            pairs = [(part.path / name, folder / name) for name in names]
            part.commit(pairs, [folder / name for name in stale])
        finally:
            part.discard()
    except BaseException:
        if made:
            with suppress(OSError):  # others have put files there meanwhile
                folder.rmdir()
        raise
