"""Lines for the user on standard error."""

from __future__ import annotations

import sys

from hsitool.errors import printable


def tell(text: str) -> None:
    """One line, whatever names and contents of files the text quotes."""
    print(f"hsitool: {printable(' '.join(text.split()))}", file=sys.stderr)
