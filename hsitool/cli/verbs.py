"""The application with all its verbs, which register as they are imported."""

from hsitool.cli import band, calib, convert, diff, info, smooth, spectrum, stats, tune  # noqa: F401
from hsitool.cli.app import app

__all__ = ["app"]
