"""Text files that appear only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from hsitool.errors import DataError
from hsitool.storage.atomic import PartFolder, refuse_existing, told_of


def read_text(path: Path, most_bytes: int, too_large: str) -> str:
    """All of a small UTF-8 file; never more than `most_bytes` of it are read.

    Args:
        path: of a plain file.
        most_bytes: files above are refused unread.
        too_large: why, as `are more points than a calibration can use`.

    Raises:
        DataError: it is missing, no plain file, too large, unreadable or no text.
    """
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: is no plain file: name a file")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            raw = b"" if size > most_bytes else file.read(most_bytes + 1)
        if (size := max(size, len(raw))) > most_bytes:
            limit = f"(limit {most_bytes / 1e6:.0f} MB)"
            raise DataError(f"{path}: {size / 1e6:.0f} MB {too_large} {limit}")
        text = raw.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text file (byte {error.start} is not UTF-8)") from error
    if "\0" in text:
        raise DataError(f"{path}: is no text file (byte {text.index(chr(0))} is NUL)")
    return text


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
