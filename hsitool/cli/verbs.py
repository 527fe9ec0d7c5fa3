"""The application with all its verbs, which register as they are imported."""

from hsitool.cli import (  # noqa: F401
    anomaly,
    attend_mask,
    band,
    calib,
    convert,
    detect,
    diff,
    info,
    smooth,
    spectrum,
    stats,
    tune,
)
from hsitool.cli.app import app

__all__ = ["app"]
