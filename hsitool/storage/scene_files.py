"""Scene models in NumPy's .npz files: plain float64 arrays and a JSON text, nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.storage.atomic import PartFolder, refuse_existing, told_of
from hsitool.storage.npz import read_arrays

Floats = NDArray[np.float64]

FORMAT = "hsitool scene"
VERSION = 1
MAX_BANDS = 10_000
MAX_TEXT_BYTES = 2**24
SYMMETRY = 1e-9
"""Of the largest entry: what a covariance may differ from its transpose by."""

SPECTRA = ("mean", "noise_std", "difference_std")
"""Arrays of one number a band; all but the mean may be left out."""

MEMBERS = (*SPECTRA, "cov", "scene")


@dataclass(frozen=True, eq=False)
class SceneFile:
    """What a file holds: `arrays` by name (mean, cov, noise_std, difference_std), and facts.

    `facts` is JSON with `n` (pixels), `blocks` (a list of `name`, `bands` from 1, `cube_bands` and
    `wavelength_nm` or null) and `provenance`.
    """

    arrays: Mapping[str, Floats]
    facts: Mapping[str, Any]


def write_scene(path: Path, scene: SceneFile, *, overwrite: bool = False) -> None:
    """Write a model; the file appears when it is complete.

    Raises:
        UsageError: it exists and may not be overwritten, or its folder is missing.
        DataError: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    refuse_existing([target], overwrite)
    folder = PartFolder(target)
    try:
        part = folder.path / "scene.npz"
        text = json.dumps({"format": FORMAT, "version": VERSION, **scene.facts})
        with told_of(target), part.open("wb") as file:
            members: dict[str, Any] = {"scene": np.array(text), **scene.arrays}
            np.savez(file, **members)
        folder.commit([(part, target)])
    finally:
        folder.discard()


def read_scene(path: Path) -> SceneFile:
    """Read and validate a model. Nothing in the file is executed.

    Raises:
        DataError: it cannot be read, or is no scene model.
    """
    what = "a scene model of hsitool stats"
    found = read_arrays(path, MEMBERS, "fU", MAX_TEXT_BYTES + 8 * MAX_BANDS**2, what)
    try:
        facts = _facts(str(found.pop("scene")[()]))
        _check(found, facts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = f"{type(error).__name__} {error}"
        raise DataError(f"{path}: not a sound scene model: {said}") from None
    return SceneFile(found, facts)


def _facts(text: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(text)
    if (facts["format"], facts["version"]) != (FORMAT, VERSION):
        raise ValueError("of another format or version")
    return facts


def _check(arrays: dict[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Refuse what does not fit together.

    Raises:
        ValueError: says what.
    """
    count = sum(_check_block(block) for block in facts["blocks"])
    if not isinstance(facts["n"], int) or facts["n"] < 2 or not 0 < count <= MAX_BANDS:
        raise ValueError(f"{facts['n']} pixels of {count} bands")
    for name, array in arrays.items():
        shape = (count, count) if name == "cov" else (count,)
        if array.shape != shape or array.dtype != np.float64:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not float64 {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinities")
    if any((arrays[name] < 0).any() for name in SPECTRA[1:] if name in arrays):
        raise ValueError("a standard deviation is negative")
    covariance = arrays["cov"]
    if np.abs(covariance - covariance.T).max() > SYMMETRY * np.abs(covariance).max():
        raise ValueError("cov is not symmetric")
    if (covariance.diagonal() < 0).any() or "mean" not in arrays:
        raise ValueError("a variance is negative, or there is no mean")


def _check_block(block: Mapping[str, Any]) -> int:
    """How many bands it has."""
    bands, centres, size = block["bands"], block["wavelength_nm"], block["cube_bands"]
    if not isinstance(block["name"], str) or not isinstance(size, int) or not bands:
        raise ValueError("a block is not described")
    if not all(type(band) is int and 1 <= band <= size for band in bands):
        raise ValueError("bands beyond those of their cube")
    if len(set(bands)) < len(bands):
        raise ValueError("a band is there twice")
    if centres is not None and not (
        len(centres) == len(bands) and all(type(nm) in (int, float) for nm in centres)
    ):
        raise ValueError("wavelengths that are not one for each band")
    return len(bands)
