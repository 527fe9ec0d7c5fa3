"""`hsitool smooth`: Savitzky-Golay smoothing and derivative cubes along the bands."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hsitool.cube import CubeInfo
from hsitool.device import CPU, Device
from hsitool.engine.blocks import Progress, map_blocks
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.maths.spectra.kernel import output_dtype
from hsitool.maths.spectra.operator import SpectralOperator
from hsitool.maths.spectra.refit import PartialRule
from hsitool.maths.spectra.savgol import savgol_operator
from hsitool.maths.spectra.segments import SplitGap, chain_bands, segment_bands
from hsitool.maths.spectra.spectral import SpectralKernel, spectral_kernel
from hsitool.maths.spectra.windows import Mode, Width
from hsitool.storage.raw import Block
from hsitool.storage.readers import CubeReader
from hsitool.storage.wavelengths import length_nm
from hsitool.storage.writers import OutputOptions, create_cube, refuse_twins
from hsitool.tasks.empty import empty_bands
from hsitool.tasks.provenance import with_step
from hsitool.tasks.sigma import Sigma, check_sigma, sigma_info, sigma_kernel


@dataclass(frozen=True)
class SmoothSettings:
    """What to fit: `spacing` is "auto" (the real wavelengths where they are known) or "band".

    `delta_nm` sets one step for all bands instead; see `maths.spectra` for the splits (segments),
    windows and modes (windows) and missing samples (refit). `fill_bad` fits bad bands, too, and
    `residual` asks for the samples minus the smoothed values.
    """

    window: int | Width
    degree: int
    deriv: int = 0
    spacing: Literal["auto", "band"] = "auto"
    delta_nm: float | None = None
    split_gap: SplitGap = "auto"
    split_at_nm: tuple[float, ...] = ()
    mode: Mode = "interp"
    min_valid: int = 0
    fill_gaps: bool = False
    fill_bad: bool = False
    residual: bool = False


@dataclass(frozen=True)
class Fit:
    """What was made of one output's settings: its operator, on physical values."""

    settings: SmoothSettings
    segments: tuple[range, ...]
    operator: SpectralOperator


def smooth(
    source: CubeReader,
    outputs: Mapping[Path, SmoothSettings],
    *,
    band: int | None = None,
    sigma: Sigma | None = None,
    options: OutputOptions | None = None,
    budget: Budget | None = None,
    device: Device = CPU,
    progress: Progress | None = None,
) -> dict[Path, Fit]:
    """Write smoothed, derivative and residual cubes of `source`, all from one reading.

    Args:
        source: the cube.
        outputs: what to write where.
        band: only the images of this band, from 0.
        sigma: standard deviations to write beside the outputs.
        options: of all outputs.
        budget: memory and threads.
        device: where to compute.
        progress: told of every tile.

    Returns:
        What was fitted, by output.

    Raises:
        UsageError: settings that cannot be carried out on this cube, or two outputs of one name.
        DataError: complex samples, or a file that fails.
        DeviceError: the device fails.
    """
    _refuse(source, outputs, sigma, options)
    budget = budget or Budget()
    fits = dict(zip(outputs, _fits(source, list(outputs.values()), band, budget), strict=True))
    made = {target: _described(source, outputs[target], band) for target in outputs}
    if sigma is not None:
        made |= {out: sigma_info(made[target]) for target, out in sigma.targets.items()}
    bands = None if band is None else _hull([fit.operator for fit in fits.values()])
    kernel = _kernel(source.info, fits, bands, sigma, device)
    sources = [source] if sigma is None or sigma.source is None else [source, sigma.source]
    with ExitStack() as stack:
        sinks = [
            stack.enter_context(create_cube(target, info, source.layout, options))
            for target, info in made.items()
        ]
        map_blocks(
            sources,
            kernel,
            sinks,
            budget=budget,
            bands=bands,
            progress=progress,
            memory=device.empty,
        )
    return fits


def _refuse(
    source: CubeReader,
    outputs: Mapping[Path, SmoothSettings],
    sigma: Sigma | None,
    options: OutputOptions | None,
) -> None:
    if source.info.dtype.kind not in "iuf":
        raise DataError(f"{source.path}: {source.info.dtype} samples cannot be smoothed")
    if sigma is not None:
        check_sigma(sigma, source)
    refuse_twins([*outputs, *(sigma.targets.values() if sigma is not None else ())], options)


def _fits(
    source: CubeReader, wanted: Sequence[SmoothSettings], band: int | None, budget: Budget
) -> tuple[Fit, ...]:
    """The operators of all bands, or of one."""
    empty = empty_bands(source, budget)  # also for one band: they decide where segments end
    fits = [fit_of(source.info, settings, empty) for settings in wanted]
    if band is not None:
        fits = [replace(fit, operator=fit.operator.select([band])) for fit in fits]
    return tuple(fits)


def _hull(operators: Sequence[SpectralOperator]) -> range:
    """The bands that any of the operators reads."""
    supports = [operator.support for operator in operators]
    return range(min(s.start for s in supports), max(s.stop for s in supports))


def _kernel(
    info: CubeInfo,
    fits: Mapping[Path, Fit],
    bands: range | None,
    sigma: Sigma | None,
    device: Device,
) -> Callable[[Sequence[Block], Sequence[Block]], Sequence[Block]]:
    """What makes all output blocks of a tile: those of the fits, then their deviations."""
    operators = tuple(fit.operator for fit in fits.values())
    nodata = None if info.nodata is None or math.isnan(info.nodata) else info.nodata
    smoothing = _smoothing(operators, info.scale, info.offset, bands, info.dtype, nodata, device)
    if sigma is None or not sigma.targets:
        deviations = None
    else:
        physical = [fits[target].operator for target in sigma.targets]
        deviations = sigma_kernel(sigma, physical, info, bands)

    def filled(blocks: Sequence[Block], outs: Sequence[Block]) -> Sequence[Block]:
        smoothing(blocks[0], outs[: len(operators)])
        if deviations is not None:
            deviations(blocks, outs[len(operators) :])
        return outs

    return filled


@lru_cache(maxsize=8)  # NaN counts as missing without being named, and would equal no other key
def _smoothing(
    operators: tuple[SpectralOperator, ...],
    scale: tuple[float, ...] | None,
    offset: tuple[float, ...] | None,
    bands: range | None,
    dtype: np.dtype[Any],
    nodata: float | None,
    device: Device,
) -> SpectralKernel:
    """What carries out operators on stored samples."""
    factors = 1.0 if scale is None else scale, 0.0 if offset is None else offset
    stored = [operator.rescaled(*factors) for operator in operators]
    if bands is not None:
        stored = [operator.on_inputs(bands) for operator in stored]
    return spectral_kernel(stored, dtype, nodata, device)


def window_of(text: str) -> int | Width:
    """The window `5` (bands) or `40nm` (its width).

    Raises:
        UsageError: neither.
    """
    if re.fullmatch(r"\s*[+-]?\d+\s*", text):
        return int(text)
    try:
        return Width(length_nm(text, "--window"))
    except UsageError:
        raise UsageError(f"--window '{text}' is no window: write it as 5 or 40nm") from None


def fit_of(info: CubeInfo, settings: SmoothSettings, empty: Sequence[int] = ()) -> Fit:
    """The operator on the physical values of a cube; `empty` bands count as bad.

    Raises:
        UsageError: window, degree, derivative, gap or seam make no sense for this cube.
    """
    _refuse_axis(info, settings)
    good = np.ones(info.bands, bool) if info.good is None else np.array(info.good)
    good[list(empty)] = False
    return _fit(settings, info.bands, info.wavelength_nm, tuple(good.tolist()))


@lru_cache(maxsize=16)  # scenes of one camera share them
def _fit(
    settings: SmoothSettings,
    bands: int,
    wavelength_nm: tuple[float, ...] | None,
    good: tuple[bool, ...],
) -> Fit:
    cuts = settings.split_gap, settings.split_at_nm
    segments = segment_bands(bands, wavelength_nm, good, *cuts)
    operator = savgol_operator(
        positions(bands, wavelength_nm, settings),
        segments,
        settings.window,
        settings.degree,
        settings.deriv,
        mode=settings.mode,
        chains=chain_bands(bands, wavelength_nm, good, *cuts) if settings.fill_bad else (),
        partial=PartialRule(settings.min_valid, settings.fill_gaps),
    )
    return Fit(settings, segments, operator.residual() if settings.residual else operator)


def _refuse_axis(info: CubeInfo, settings: SmoothSettings) -> None:
    """Windows in nm need an axis in nm, copies beyond the ends an even one."""
    if isinstance(settings.window, Width) and not fits_nm(info, settings):
        raise UsageError(
            f"a window of {settings.window.nm:g} nm needs bands at known wavelengths: "
            "give it in bands, or a step with --delta"
        )
    even = settings.delta_nm is not None or not fits_nm(info, settings)
    if settings.mode != "interp" and (not even or isinstance(settings.window, Width)):
        raise UsageError(
            f"--mode {settings.mode} goes beyond the ends by whole bands: "
            "add --spacing band or --delta, and give the window in bands"
        )


def positions(
    bands: int, wavelength_nm: tuple[float, ...] | None, settings: SmoothSettings
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(bands,) where the bands lie on the axis of the fit: in nm, or by number."""
    index = np.arange(bands, dtype=np.float64)
    if settings.delta_nm is not None:
        return index * settings.delta_nm
    known = settings.spacing == "auto" and wavelength_nm is not None
    return np.array(wavelength_nm) if known else index


def fits_nm(info: CubeInfo, settings: SmoothSettings) -> bool:
    """Whether the axis of the fit is in nm."""
    known = settings.spacing == "auto" and info.wavelength_nm is not None
    return settings.delta_nm is not None or known


def _described(source: CubeReader, settings: SmoothSettings, band: int | None) -> CubeInfo:
    made = result_info(source.info, settings)
    if band is not None:
        made = made.with_bands([band])
    steps = said(settings) | {"band": None if band is None else band + 1}
    return with_step(made, "smooth", source.path, steps)


def result_info(info: CubeInfo, settings: SmoothSettings) -> CubeInfo:
    """The description of the result: what smoothing does not change stays."""
    changed = info.with_new_pixels().replace(
        dtype=output_dtype(info.dtype),
        nodata=float("nan"),
        former_nodata=info.nodata if info.nodata is not None else info.former_nodata,
        noise_correlated=True,
    )
    if settings.deriv == 0:
        return changed.replace(offset=None) if settings.residual else changed
    power = "" if settings.deriv == 1 else f"^{settings.deriv}"
    step = ("nm" if fits_nm(info, settings) else "band") + power
    units = tuple(f"{unit or '1'}/{step}" for unit in info.units or ("",) * info.bands)
    return changed.replace(units=units, offset=None)


ALWAYS_SAID = ("window", "degree", "deriv", "spacing", "delta_nm", "split_gap", "split_at_nm")


def said(settings: SmoothSettings) -> dict[str, Any]:
    """The settings for the provenance: the main ones, and others that are not as by default."""
    values = asdict(settings)
    if isinstance(settings.window, Width):
        values["window"] = f"{settings.window.nm:g}nm"
    defaults = {item.name: item.default for item in fields(settings)}
    return {k: v for k, v in values.items() if k in ALWAYS_SAID or v != defaults[k]}
