"""The scene model: mean, covariance and noise of a scene, and the background that scores need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky  # type: ignore[import-untyped]

from hsitool.device import Device, array_module, device_of, on_cpu
from hsitool.errors import DataError, UsageError
from hsitool.maths.scene.dependence import dependence
from hsitool.maths.scene.moments import Moments
from hsitool.maths.scene.noise import difference_noise, pair_moments, pair_step, regressed_noise

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RIDGE = 10.0
"""Noise variances that `--shrink noise` adds: the best for anomalies, and for rare targets."""

REMEDIES = {
    "noise": "give --shrink oas (there is too little noise for a ridge)",
    "oas": "give more pixels",
    "none": "give --shrink noise or oas",
}
"""What to do where a covariance is singular in spite of a way to shrink it."""

LARGEST = 1e30
"""No mean of measurements is beyond it, unless missing samples are not told by their value."""


@dataclass(frozen=True)
class Shrink:
    """How a covariance S is made invertible.

    "noise" adds `ridge` times the noise variance of the median band of each cube to the diagonal;
    "oas" takes the oracle approximating shrinkage towards a multiple of the identity (Chen et al.
    2010, IEEE Trans. Signal Process. 58, 5016); "none" leaves it as it is.
    """

    kind: Literal["noise", "oas", "none"] = "noise"
    ridge: float = RIDGE

    def __str__(self) -> str:
        return f"noise={self.ridge:g}" if self.kind == "noise" else self.kind


@dataclass(frozen=True)
class BandBlock:
    """The bands that one cube has in a model: `bands` counts from 0, of `cube_bands`."""

    name: str
    bands: tuple[int, ...]
    cube_bands: int
    wavelength_nm: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class SceneSums:
    """What a scene model is made of, as a fold: the moments of all pixels and of some pairs."""

    spectra: Moments
    pairs: Moments

    @classmethod
    def none(cls, bands: int) -> SceneSums:
        """Of no pixels: what a sum begins with."""
        return cls(Moments.none(bands), Moments.none(2 * bands))

    @classmethod
    def of(
        cls, spectra: Floats, valid: Flags, row: int = 0, column: int = 0, step: int = 1
    ) -> SceneSums:
        """Of a rectangle (bands, rows, columns) of the image, which begins at `row`, `column`.

        Every `step` lines pairs are taken; `valid` (rows, columns) pixels miss no sample. The
        spectra may be on any device, where the sums are then, too; what is valid is on the CPU.
        """
        pairs = pair_moments(spectra, valid, row, column, step)
        return cls(Moments.of(chosen(spectra, valid)), pairs)

    def __add__(self, other: SceneSums) -> SceneSums:
        return SceneSums(self.spectra + other.spectra, self.pairs + other.pairs)

    def on_cpu(self) -> SceneSums:
        """The same in the memory of this machine."""
        return SceneSums(self.spectra.on_cpu(), self.pairs.on_cpu())


@dataclass(frozen=True, eq=False)
class Background:
    """What scores are relative to: a mean (bands,) and the Cholesky factor of a covariance.

    `factor` is lower triangular, in Fortran order. Both are on the CPU.
    """

    mean: Floats
    factor: Floats
    _copies: dict[Device, tuple[Floats, Floats]] = field(default_factory=dict, repr=False)

    def whitened(self, spectra: Floats) -> Floats:
        """(bands, pixels) of spectra: of mean 0 and covariance 1 over the background.

        They stay on their device.
        """
        device = device_of(spectra)
        mean, factor = self._on(device)
        white: Floats = device.solve_lower(factor, spectra - mean[:, None])
        return white

    def _on(self, device: Device) -> tuple[Floats, Floats]:
        """Mean and factor on a device, sent there once."""
        if device not in self._copies:
            self._copies[device] = device.put(self.mean), device.put(self.factor)
        return self._copies[device]


@dataclass(frozen=True, eq=False)
class SceneModel:
    """One Gaussian for a scene, in physical values.

    Attributes:
        count: pixels.
        mean: (bands,)
        covariance: (bands, bands), with the divisor count - 1.
        noise_std: (bands,) by regression, or None where there were too few neighbours.
        difference_std: (bands,) by differences of neighbours, or None.
        blocks: where the bands come from, cube by cube.
    """

    count: int
    mean: Floats
    covariance: Floats
    noise_std: Floats | None
    difference_std: Floats | None
    blocks: tuple[BandBlock, ...]

    def __add__(self, other: SceneModel) -> SceneModel:
        """The model of the pixels of both, which must not overlap.

        Mean and covariance are exact; the variances of the noise are averaged by pixels, and not
        known where one of them is not.

        Raises:
            DataError: the bands are not the same.
        """
        if [b.bands for b in self.blocks] != [b.bands for b in other.blocks]:
            raise DataError("models of other bands cannot be merged")
        both = self.moments + other.moments
        return replace(
            self,
            count=both.count,
            mean=both.mean,
            covariance=both.covariance,
            noise_std=_pooled(self.noise_std, other.noise_std, self.count / both.count),
            difference_std=_pooled(
                self.difference_std, other.difference_std, self.count / both.count
            ),
        )

    @property
    def moments(self) -> Moments:
        """Count, mean and scatter of the pixels."""
        return Moments(self.count, self.mean, self.covariance * (self.count - 1))

    @property
    def ranges(self) -> list[slice]:
        """Where the bands of each block lie."""
        ends = np.cumsum([len(block.bands) for block in self.blocks]).tolist()
        return [slice(e - len(b.bands), e) for e, b in zip(ends, self.blocks, strict=True)]

    def of_cube(self, number: int, bands: Sequence[int] | None = None) -> SceneModel:
        """The model of one cube alone, or of some of its bands (from 0, of the cube)."""
        block, start = self.blocks[number], self.ranges[number].start
        bands = block.bands if bands is None else bands
        places = [block.bands.index(band) for band in bands]
        inside = [start + place for place in places]
        known = block.wavelength_nm
        centres = None if known is None else tuple(known[place] for place in places)
        noise, difference = self.noise_std, self.difference_std
        return SceneModel(
            self.count,
            self.mean[inside],
            self.covariance[np.ix_(inside, inside)],
            None if noise is None else noise[inside],
            None if difference is None else difference[inside],
            (BandBlock(block.name, tuple(bands), block.cube_bands, centres),),
        )

    def background(self, shrink: Shrink | None = None) -> Background:
        """The mean and the factor of the regularised covariance.

        Raises:
            DataError: it is singular; says which bands depend on each other.
            UsageError: a ridge of noise where the noise is not known.
        """
        shrink = shrink or Shrink()
        shrunk = self.shrunk(shrink)
        if found := dependence(shrunk, self.count, REMEDIES[shrink.kind]):
            raise DataError(found.told([name_of(self.blocks, b) for b in found.bands]))
        return Background(self.mean, factor_of(shrunk))

    def shrunk(self, shrink: Shrink) -> Floats:
        """(bands, bands) the covariance, regularised.

        Raises:
            UsageError: as `background`.
        """
        if shrink.kind == "oas":
            return oas(self.covariance, self.count)
        if shrink.kind == "none":
            return self.covariance
        return self.covariance + np.diag(shrink.ridge * self.noise_level)

    @property
    def noise_level(self) -> Floats:
        """(bands,) variance of the noise in the median band of the cube that each belongs to.

        One level a cube, since a ridge has to hold up bands that others foretell, too.

        Raises:
            UsageError: the noise is not known.
        """
        if self.noise_std is None:
            raise UsageError(
                "too few pixels lie side by side to tell the noise: give --shrink oas or none"
            )
        levels = [np.full_like(part, np.median(part) ** 2) for part in self._noise_of_blocks()]
        return np.concatenate(levels)

    def _noise_of_blocks(self) -> list[Floats]:
        assert self.noise_std is not None
        return [self.noise_std[inside] for inside in self.ranges]


def _pooled(own: Floats | None, other: Floats | None, share: float) -> Floats | None:
    """The deviation of the mean of two variances, of which the first has that share."""
    if own is None or other is None:
        return None
    pooled: Floats = np.sqrt(share * own**2 + (1 - share) * other**2)
    return pooled


def chosen(spectra: Floats, valid: Flags) -> Floats:
    """(bands, pixels) the valid ones of (bands, rows, columns); a view where all are.

    What is valid is told on the CPU, wherever the spectra are.
    """
    if valid.all():
        return spectra.reshape(len(spectra), -1)
    return spectra[:, device_of(spectra).put(valid)]


def factor_of(covariance: Floats) -> Floats:
    """The lower Cholesky factor, in Fortran order.

    Raises:
        DataError: the covariance is singular.
    """
    try:
        return np.asfortranarray(cholesky(covariance, lower=True))
    except (LinAlgError, ValueError):
        raise DataError("the covariance is singular: give --shrink noise or oas") from None


def name_of(blocks: Sequence[BandBlock], index: int) -> str:
    """A band of a model by its number in its cube, and the cube where there are several."""
    for block in blocks:
        if index < len(block.bands):
            number = str(block.bands[index] + 1)
            return number if len(blocks) == 1 else f"{number} of {block.name}"
        index -= len(block.bands)
    raise IndexError(index)


def finished(sums: SceneSums, segments: Sequence[range], blocks: Sequence[BandBlock]) -> SceneModel:
    """The model of all that was added up.

    `segments` are ranges of bands that follow each other and together are all bands.

    Raises:
        DataError: too few pixels, or samples that are no measurements.
    """
    spectra = sums.spectra
    if spectra.count < 2:
        pixels = {0: "no pixel has", 1: "only 1 pixel has"}[spectra.count]
        raise DataError(
            f"{pixels} data in all used bands: a covariance needs 2 or more (see --bands)"
        )
    if not (np.abs(spectra.mean) < LARGEST).all() or not np.isfinite(spectra.scatter).all():
        raise DataError(
            "samples beyond any measurement: declare what marks missing ones "
            "(hsitool convert --nodata)"
        )
    return SceneModel(
        spectra.count,
        spectra.mean,
        spectra.covariance,
        regressed_noise(sums.pairs, segments),
        difference_noise(sums.pairs),
        tuple(blocks),
    )


def scene_model(cube: Floats, valid: Flags | None = None) -> SceneModel:
    """The model of an image (bands, rows, columns) in memory; `valid` pixels miss no sample.

    The image may be an array of CuPy; the model is on the CPU.

    Raises:
        DataError: as `finished`.
    """
    bands = len(cube)
    if valid is None:
        valid = array_module(cube).isfinite(cube).all(axis=0)
    sums = SceneSums.of(cube, on_cpu(valid), step=pair_step(valid.size)).on_cpu()
    return finished(sums, [range(bands)], [BandBlock("cube", tuple(range(bands)), bands)])


def oas(covariance: Floats, count: int) -> Floats:
    """(bands, bands) the oracle approximating shrinkage of a covariance with divisor count - 1."""
    bands = len(covariance)
    biased = covariance * ((count - 1) / count)
    level = np.trace(biased) / bands
    energy = float(np.sum(biased**2))
    total = (bands * level) ** 2
    apart = (count + 1) * (energy - total / bands)
    share = min(1.0, (energy + total) / apart) if apart > 0 else 1.0
    shrunk: Floats = (1 - share) * biased
    shrunk[np.diag_indices(bands)] += share * level
    return shrunk
