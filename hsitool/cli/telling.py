"""Lines for the user on standard error."""

from __future__ import annotations

import sys
from contextlib import suppress

from hsitool.errors import printable


def tell(text: str) -> None:
    """One line, whatever names and contents of files the text quotes."""
    with suppress(OSError):  # a full or closed standard error must not cost the answer
        print(f"hsitool: {printable(' '.join(text.split()))}", file=sys.stderr)
