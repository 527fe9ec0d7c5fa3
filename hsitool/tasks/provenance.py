"""What made a file: one entry a step, without time stamps, so that equal runs give equal files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hsitool
from hsitool.cube import CubeInfo


def with_step(info: CubeInfo, command: str, source: Path, settings: Mapping[str, Any]) -> CubeInfo:
    """`info` with one more step in its provenance; settings that are None are left out."""
    step = {
        "tool": f"hsitool {hsitool.__version__}",
        "command": command,
        "input": source.name,
        "settings": {key: value for key, value in settings.items() if value is not None},
    }
    return info.replace(provenance=(*info.provenance, step))
