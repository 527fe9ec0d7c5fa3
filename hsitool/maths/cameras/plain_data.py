"""Typed results as plain Python, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

DERIVED = {"Fit": ("sigma_px", "rms_px"), "Ratio": ("wider_se",), "HalfSplit": ("ratio",)}
"""Properties that belong in the dictionary beside the fields."""


def plain(value: Any) -> Any:
    """Plain Python of dataclasses and arrays; None for numbers that are not finite."""
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
        names += DERIVED.get(type(value).__name__, ())
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
