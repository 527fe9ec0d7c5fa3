"""Standard deviations of smoothed cubes, from those of the cube, a covariance, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.cube import CubeInfo
from hsitool.errors import DataError, UsageError
from hsitool.maths.spectra.deviation import DeviationKernel
from hsitool.maths.spectra.missing import MissingRule
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader

AT_ONCE = 1024  # pixels whose deviations are computed at once, in float64


@dataclass(frozen=True)
class Sigma:
    """Where the noise of a cube is known from, and where that of its results is to be written.

    Attributes:
        targets: outputs of `smooth`, each with the file for its standard deviations.
        source: standard deviations of the cube's samples, of its shape and in physical values.
        covariance: (bands, bands) of the noise, in physical values; with a `source` only the
            correlations count.
    """

    targets: Mapping[Path, Path]
    source: CubeReader | None = None
    covariance: NDArray[np.float64] | None = None


def check_sigma(sigma: Sigma, source: CubeReader) -> None:
    """Refuse noise that is not that of the cube.

    Raises:
        UsageError: shapes differ, or the bands are correlated and no covariance says how.
    """
    if sigma.source is None and sigma.covariance is None:
        raise UsageError("the noise is not known: give --sigma CUBE or --noise-cov FILE")
    if sigma.source is not None and sigma.source.info.shape != source.info.shape:
        raise UsageError(
            f"{sigma.source.path} has (bands, rows, columns) {sigma.source.info.shape}, "
            f"{source.path} has {source.info.shape}: give a sigma cube of the same shape"
        )
    if sigma.covariance is None and source.info.noise_correlated:
        raise UsageError(
            f"the noise of {source.path} is correlated between bands, since it was smoothed: "
            "give its covariance with --noise-cov FILE"
        )


def sigma_info(made: CubeInfo) -> CubeInfo:
    """The description of the standard deviations of a result: physical values, in its units."""
    *before, last = made.provenance
    step = {**last, "settings": {**last["settings"], "result": "standard deviation"}}
    return made.replace(
        dtype=np.dtype(np.float32),
        scale=None,
        offset=None,
        former_nodata=None,
        provenance=(*before, step),
    )


def sigma_kernel(
    sigma: Sigma, operators: Sequence[SpectralOperator], info: CubeInfo, bands: range | None
) -> Callable[[Sequence[Block], Sequence[Block]], None]:
    """What fills the blocks of standard deviations, of `operators` on physical values."""
    inside = slice(None) if bands is None else slice(bands.start, bands.stop)
    if bands is not None:
        operators = [operator.on_inputs(bands) for operator in operators]
    covariance = None if sigma.covariance is None else sigma.covariance[inside, inside]
    kernel = DeviationKernel(operators, covariance)
    missing = MissingRule(info.dtype, info.nodata)
    known = (
        None if sigma.source is None else _physical(sigma.source.path, sigma.source.info, inside)
    )

    def fill(blocks: Sequence[Block], outs: Sequence[Block]) -> None:
        _, rows, columns = blocks[0].shape
        for row, start in product(range(rows), range(0, columns, AT_ONCE)):
            here = slice(None), row, slice(start, start + AT_ONCE)
            gaps = missing.mask(blocks[0][here])
            deviations = None if known is None else known(blocks[1][here])
            kernel(gaps, deviations, [out[here] for out in outs])

    return fill


def _physical(path: Path, info: CubeInfo, inside: slice) -> Callable[[Block], NDArray[np.float64]]:
    """What turns stored standard deviations (bands, pixels) into physical ones, NaN if missing."""
    rule = MissingRule(info.dtype, info.nodata)

    def column(values: tuple[float, ...] | None, default: float) -> NDArray[np.float64]:
        given: Any = (default,) * info.bands if values is None else values
        return np.array(given)[inside, None]

    scale, offset = column(info.scale, 1.0), column(info.offset, 0.0)

    def physical(stored: Block) -> NDArray[np.float64]:
        values: NDArray[np.float64] = stored * scale + offset
        values[rule.mask(stored)] = np.nan
        if np.nanmin(values, initial=0.0) < 0:
            least = np.nanmin(values)
            raise DataError(
                f"{path}: {least:g} is no standard deviation: declare what marks missing samples"
            )
        return values

    return physical
