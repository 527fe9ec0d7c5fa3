"""Lines for the user on standard error."""

from __future__ import annotations

import sys
from contextlib import suppress

from hsitool.errors import HsitoolError, printable


def tell(text: str) -> None:
    """One line, whatever names and contents of files the text quotes."""
    with suppress(OSError):  # a full or closed standard error must not cost the answer
        print(f"hsitool: {printable(' '.join(text.split()))}", file=sys.stderr)


def told(error: Exception) -> tuple[str, int]:
    """The line for the user and the exit code."""
    if isinstance(error, HsitoolError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError):
        return "out of memory: give a smaller --max-memory", 3
    if isinstance(error, OSError):
        return f"{error.filename or 'standard output'}: {error.strerror or error}", 3
    return f"unexpected {type(error).__name__}: {error} (add --debug for the details)", 1
