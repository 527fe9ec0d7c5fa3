"""The verbs, and the application with those that a command line needs.

A verb lives in the module of its name and registers as that is imported. To import all of them
takes longer than most answers, so that a page that only lists verbs is made of their summaries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module

import typer

from hsitool.cli.app import app, attend, camera

VERBS = {
    "anomaly": "Score how far every pixel is from the scene (RX), from its surroundings or the "
    "lines before.",
    "attend bands": "Choose the few bands that tell a target from its background, or weigh all "
    "bands.",
    "attend glimpse": "Crop a cube around a place, around pixels drawn by attention, or where it "
    "is densest.",
    "attend mask": "Weigh pixels by their likeness to a query; write the weights and the spectrum "
    "they see.",
    "attend self": "Tell which pixels a pixel resembles: its row of the N x N attention weights, "
    "as an image.",
    "attend warp": "See a cube zoomed, turned or sheared: an affine grid and linear interpolation.",
    "band": "Write one band as an image.",
    "calib": "Calibrate a camera, and tell whether fx and fy are one focal length or two.",
    "camera board": "Draw a calibration board at its true size, with rulers both ways (needs "
    "Matplotlib).",
    "camera convert": "Write a camera in another program's format, or refuse to where that cannot "
    "hold it.",
    "camera diff": "Compare two calibrations as pixels over the image, after the best-fitting "
    "rotation.",
    "camera explain": "Tell what a calibration says: focal length in mm, field of view, and fx "
    "against fy.",
    "camera simulate": "What a planned shoot of a board will tell: which difference of fx and fy "
    "it can show.",
    "convert": "Copy a cube without losing metadata: GeoTIFF <-> ENVI, other types, parts.",
    "detect": "Score how much every pixel is like target spectra, a band for each target.",
    "diff": "Compare two cubes by meaning: exit code 0 if they are the same, 1 if not.",
    "info": "Show what a cube is: shape, type, layout, georeference, bands, provenance.",
    "provenance": "Print the command lines that made a file, one a step, ready for a shell.",
    "run": "Carry out a recipe: commands in a chain, in one process and at the same time.",
    "smooth": "Smooth a cube along its bands (Savitzky-Golay), or take derivatives.",
    "spectrum": "Print the spectra of places as CSV: band, wavelength_nm, one column a place.",
    "stats": "Fit the scene model: mean, covariance and noise of one cube, or of several stacked.",
    "tune": "Choose the window of `smooth`: estimate the error of many on sampled pixels.",
    "undistort": "Take a lens's distortion off a cube or an image, any number of bands.",
}
"""The first line of each verb's help, by its name."""

GROUPS = {"attend": attend, "camera": camera}
CHAINED = "run"
"""The verb whose steps may be any other one."""

COMPLETION = "_HSITOOL_COMPLETE"
"""Set in the environment where a shell asks how a line goes on."""


def application(arguments: Sequence[str]) -> typer.Typer:
    """The application with the verb that a command line names, or with the names of all."""
    words = [word for word in arguments if not word.startswith("-")]
    if COMPLETION in os.environ or words[:1] == [CHAINED]:
        return every_verb()
    named = [verb for verb in VERBS if verb.split() == words[: len(verb.split())]]
    if named:
        _load(named)
    else:
        for verb, summary in VERBS.items():
            _list(verb, summary)
    return app


def every_verb() -> typer.Typer:
    """The application with all verbs."""
    _load(VERBS)
    return app


def _load(verbs: Iterable[str]) -> None:
    for verb in verbs:
        import_module(f"hsitool.cli.{verb.replace(' ', '_')}")


def _list(verb: str, summary: str) -> None:
    """Let help and errors name a verb that is not carried out."""
    group, _, name = verb.rpartition(" ")
    GROUPS.get(group, app).command(name, help=summary)(_listed)


def _listed() -> None:
    """Stand for a verb; `application` has loaded those that a line names."""
    raise NotImplementedError
