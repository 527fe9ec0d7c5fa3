"""The application with all its verbs, which register as they are imported."""

from hsitool.cli import (  # noqa: F401
    anomaly,
    attend_bands,
    attend_glimpse,
    attend_mask,
    attend_self,
    attend_warp,
    band,
    calib,
    camera_board,
    camera_convert,
    camera_diff,
    camera_explain,
    camera_simulate,
    convert,
    detect,
    diff,
    info,
    provenance,
    run,
    smooth,
    spectrum,
    stats,
    tune,
    undistort,
)
from hsitool.cli.app import app

__all__ = ["app"]
