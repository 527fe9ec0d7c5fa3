"""`tune` on made scenes: the window with the least true error, whatever the file looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import scenes
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from hsitool.cube import Tile
from hsitool.engine.plan import Budget
from hsitool.errors import DataError, UsageError
from hsitool.storage.readers import CubeReader, open_cube
from hsitool.tasks.sample import CELLS, draw_sample
from hsitool.tasks.smooth import SmoothSettings, fit_of
from hsitool.tasks.tune import Candidate, TuneReport, as_json, noisy_derivatives, tune

BANDS = 64
CENTRES = scenes.wavelengths(BANDS)
THREE = CENTRES[:3]
Floats = NDArray[np.float64]


def write(path: Path, array: Any, **items: Any) -> Path:
    return cubes.write_geotiff(path, array, **{"wavelength_nm": CENTRES, **items})


def tuned(path: Path, deriv: int = 0, degrees: Sequence[int] = (2,), **more: Any) -> TuneReport:
    with open_cube(path) as source:
        return tune(source, SmoothSettings(3, 2, deriv), degrees=degrees, **more)


def true_errors(report: TuneReport, clean: Floats, seen: Floats) -> list[float]:
    """The root mean squared error of every candidate, by SciPy's filter."""

    def filtered(cube: Floats, window: int, degree: int) -> Floats:
        options = {"deriv": report.deriv, "delta": scenes.STEP_NM, "axis": 0}
        return np.asarray(savgol_filter(cube, window, degree, **options))

    first = report.candidates[0]
    wanted = filtered(clean, first.window, first.degree) if report.deriv else clean
    errors = [filtered(seen, tried.window, tried.degree) - wanted for tried in report.candidates]
    return [float(np.sqrt((error**2).mean())) for error in errors]


@pytest.fixture
def noisy(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A cube with white noise of 0.01."""
    clean = scenes.signal(BANDS)
    return write(tmp_path / "noisy.tif", clean + 0.01 * scenes.noise(clean.shape, 0.0, rng))


@pytest.mark.parametrize("along", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("level", [0.002, 0.01, 0.03])
@pytest.mark.parametrize("deriv", [0, 1, 2])
def test_the_best_window_has_nearly_the_least_error(
    deriv: int, level: float, along: float, tmp_path: Path, rng: np.random.Generator
) -> None:
    clean = scenes.signal(BANDS, 64, 64)
    seen = clean + level * scenes.noise(clean.shape, along, rng)
    report = tuned(write(tmp_path / "in.tif", seen), deriv, (2, 4))
    errors = true_errors(report, clean, seen)
    chosen = errors[report.candidates.index(report.best)]
    assert chosen <= 1.1 * min(errors)
    if deriv == 0:
        assert report.best.rms == pytest.approx(chosen, rel=0.5)


def test_a_report_says_what_was_tried(noisy: Path) -> None:
    report = tuned(noisy, degrees=(3, 2), windows=[9, 5, 7, 3])
    tried = [(c.window, c.degree) for c in report.candidates]
    assert tried == [(3, 2), (5, 2), (7, 2), (9, 2), (5, 3), (7, 3), (9, 3)]
    assert (report.pixels, report.bands, report.seed, report.deriv) == (2000, BANDS, 0, 0)
    assert np.median(report.noise_std) == pytest.approx(0.01, rel=0.07)
    gain = {(c.window, c.degree): c.noise_gain for c in report.candidates}
    assert gain[3, 2] == pytest.approx(1)
    assert gain[9, 2] == pytest.approx(np.sqrt(59 / 231), rel=0.1)  # but for the edges
    assert report.candidates[0].score == pytest.approx(0.01**2, rel=0.15)
    better = [c.better for c in report.candidates]
    assert better[0] == 0  # a parabola through three samples
    assert better[1] >= 0.9 * BANDS
    default = tuned(noisy)
    assert [c.window for c in default.candidates] == list(range(3, 32, 2))
    assert report.criterion.startswith("SURE: mean squared error per band")


def test_of_equal_scores_the_shorter_window_wins(noisy: Path) -> None:
    scores = {(9, 2): 1.0, (7, 4): 1.0, (7, 3): 1.0 + 1e-12, (5, 2): 1.0 + 1e-6}
    tried = tuple(Candidate(w, d, score, 0.5, 9) for (w, d), score in scores.items())
    report = replace(tuned(noisy, windows=[3]), candidates=tried)
    assert report.best == tried[2]
    negative = tuple(replace(c, score=c.score - 2) for c in tried)
    assert replace(report, candidates=negative).best == negative[2]
    assert negative[0].rms == 0


def test_the_same_sample_whatever_the_file_and_machine(tmp_path: Path) -> None:
    array = cubes.spectra(24, 130, 150, "float32")
    array[:, :40, :50] = -9999
    centres = scenes.wavelengths(24)
    paths = [
        cubes.write_geotiff(
            tmp_path / f"{name}.tif", array, wavelength_nm=centres, nodata=-9999, **o
        )
        for name, o in (
            ("pixel", {}),
            ("band", {"interleave": "band"}),
            ("packed", {"interleave": "band", "blocks": ("tile", 16), "compress": "deflate"}),
        )
    ]
    header = {"wavelength units": "Nanometers", "wavelength": cubes.listed(centres)}
    header["data ignore value"] = "-9999"
    for order in ("bsq", "bil", "bip"):
        stem = tmp_path / order
        paths.append(cubes.write_envi(stem, array, interleave=order, items=header))
    budgets = [Budget(workers=1), Budget(memory=350 * 10**6, workers=3), Budget()]
    texts = {as_json(tuned(path, budget=budgets[i % 3])) for i, path in enumerate(paths)}
    assert len(texts) == 1
    assert as_json(tuned(paths[0], seed=1)) not in texts


def test_values_are_physical_and_bad_bands_left_out(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    clean = scenes.signal(BANDS)
    seen = clean + 0.01 * scenes.noise(clean.shape, 0.0, rng)
    scales = 1e-4 * (1 + np.arange(BANDS) / BANDS)
    stored = np.round((seen - 0.1) / scales[:, None, None]).astype("int16")
    stored[40] = -9999
    stored[:, :20] = -9999
    good = [int(band not in (10, 11)) for band in range(BANDS)]
    items = {"scales": scales, "offsets": [0.1] * BANDS, "bbl": good, "nodata": -9999}
    path = write(tmp_path / "in.tif", stored, **items, units=["W"] * BANDS)
    with pytest.warns(UserWarning, match="no data at all in 1 bands"):
        report = tuned(path, deriv=1)
    assert [b for b, std in enumerate(report.noise_std) if std is None] == [10, 11, 40]
    known = [std for std in report.noise_std if std is not None]
    assert np.median(known) == pytest.approx(0.01, rel=0.07)
    assert (report.bands, report.unit, report.noise_unit) == (61, "W/nm", "W")


def test_bands_that_are_mostly_missing_are_left_out(noisy: Path, tmp_path: Path) -> None:
    with cubes.open_quietly(noisy) as dataset:
        array = dataset.read()
    array[20, 5:] = np.nan
    array[30, ::9, ::7] = np.nan
    report = tuned(write(tmp_path / "in.tif", array))
    assert [b for b, std in enumerate(report.noise_std) if std is None] == [20]
    assert 1000 < report.pixels < 2000


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (2, 200), (13, 17)])
def test_narrow_images(shape: tuple[int, int], tmp_path: Path, rng: np.random.Generator) -> None:
    clean = scenes.signal(BANDS, *shape)
    seen = clean + 0.01 * scenes.noise(clean.shape, 0.0, rng)
    report = tuned(write(tmp_path / "in.tif", seen))
    assert 190 <= report.pixels <= 400
    assert np.median(report.noise_std) == pytest.approx(0.01, rel=0.15)


def test_segments_that_are_too_short_do_not_count(noisy: Path) -> None:
    with open_cube(noisy) as source:
        seams = CENTRES[10] - 1, CENTRES[11] - 1, CENTRES[13] - 1
        report = tune(source, SmoothSettings(3, 2, 2, split_at_nm=seams))
        assert report.bands == BANDS - 3
        apart = SmoothSettings(3, 2, 2, split_gap=1.0)
        with pytest.raises(DataError, match="too few bands in a row for degree 2"):
            tune(source, apart)


class Watched:
    """A reader that remembers the tiles it was asked for."""

    def __init__(self, source: CubeReader) -> None:
        self.info, self.path, self.tiles = source.info, source.path, list[Tile]()
        self._source = source

    def read(self, tile: Tile, bands: Sequence[int]) -> Any:
        self.tiles.append(tile)
        return self._source.read(tile, bands)


@pytest.mark.parametrize("missing", [False, True])
def test_few_places_are_read(missing: bool, tmp_path: Path) -> None:
    array = cubes.spectra(3, 1000, 1200)
    if missing:
        array[:, 100:] = np.nan
    with open_cube(write(tmp_path / "in.tif", array, wavelength_nm=THREE)) as source:
        watched: Any = Watched(source)
        sample = draw_sample(watched, range(3), 2000, 0)
    cells = {(tile.row // 64, tile.column // 64) for tile in watched.tiles}
    inside = {(tile.row + tile.height - 1) // 64 for tile in watched.tiles}
    assert inside == {row for row, _ in cells}
    assert len(cells) <= (4 * CELLS if missing else CELLS)
    assert len(sample.spectra) == 2000 or missing
    assert np.isfinite(sample.spectra).all()
    assert sum(tile.pixels for tile in watched.tiles) < (10_000 if missing else 2600)


def test_pairs_are_neighbours(tmp_path: Path) -> None:
    row, column = np.mgrid[:70, :90]
    array = np.stack([row, column, row + column]).astype("float64")
    with open_cube(write(tmp_path / "in.tif", array, wavelength_nm=THREE)) as source:
        sample = draw_sample(source, range(3), 500, 3)
    np.testing.assert_array_equal(sample.spectra - sample.adjacent, [[0, 1, 1]] * 500)
    assert len(np.unique(sample.spectra, axis=0)) == 500


def test_refusals(noisy: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="window 6 is even"):
        tuned(noisy, windows=[5, 6])
    with pytest.raises(UsageError, match="longer than the cube's 64 bands"):
        tuned(noisy, windows=[5, 65])
    with pytest.raises(UsageError, match="degree 7 needs a window"):
        tuned(noisy, windows=[5, 7], degrees=(7,))
    with pytest.raises(UsageError, match="derivative 3 of a polynomial of degree 2"):
        tuned(noisy, deriv=3)
    with pytest.raises(UsageError, match="15 pixels are too few"):
        tuned(noisy, pixels=15)
    with pytest.raises(UsageError, match="need 1789 MB"):
        tuned(noisy, pixels=400_000)
    blank = np.full((BANDS, 40, 40), np.nan)
    blank[:, 3, :9] = 0.5
    with pytest.raises(DataError, match="only 8 of the pixels looked at"):
        tuned(write(tmp_path / "blank.tif", blank))
    with pytest.raises(DataError, match="no good band has data"):
        tuned(write(tmp_path / "bad.tif", blank, bbl=[0] * BANDS))
    cube = write(tmp_path / "complex.tif", cubes.spectra(BANDS, 3, 4, "complex64"))
    with pytest.raises(DataError, match="complex64"):
        tuned(cube)


def advice(path: Path, window: int, deriv: int) -> str | None:
    with open_cube(path) as source:
        fit = fit_of(source.info, SmoothSettings(window, 2, deriv))
        return next(iter(noisy_derivatives(source, [fit])), None)


def test_a_noisy_derivative_is_told_with_the_window_that_would_do(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    clean = scenes.signal(BANDS)
    noise = 0.005 * scenes.noise(clean.shape, 0.0, rng)
    path = write(tmp_path / "in.tif", clean + noise)

    def share(window: int) -> float:
        parts = [
            savgol_filter(cube, window, 2, deriv=2, axis=0).std(axis=(1, 2))
            for cube in (noise, clean + noise)
        ]
        return float(np.median(parts[0] / parts[1]))

    said = advice(path, 5, 2)
    assert said is not None
    assert "derivative 2" in said
    window = int(said.split("window ")[1].split()[0])
    assert share(window) < 0.55
    assert share(window - 2) > 0.45
    assert advice(path, window, 2) is None
    assert advice(path, 5, 0) is None


def test_where_no_window_serves_that_is_told(tmp_path: Path, rng: np.random.Generator) -> None:
    array = 0.5 + 0.01 * rng.standard_normal((BANDS, 40, 40))
    said = advice(write(tmp_path / "in.tif", array), 5, 2)
    assert said is not None
    assert said.endswith("no window up to 20 would do")
    assert advice(write(tmp_path / "few.tif", array[:, :2, :4]), 5, 2) is None
