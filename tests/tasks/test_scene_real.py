"""Scores of real scenes with known anomalies and abundances; `-s` prints the README's tables.

pytest -s tests/tasks/test_scene_real.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.stats import rankdata, spearmanr

ABU = {"abu-airport-1": "airport", "abu-urban-1": "urban", "hydice": "hydice"}
SHRINKS = ("none", "noise=0.1", "noise=1", "noise=10", "noise=100", "noise=3000", "oas")
Floats = NDArray[np.float64]


def area_under_curve(scores: Any, marked: Any) -> float:
    """The share of pairs of a marked and another pixel in which the marked one scores higher."""
    ranks, count = rankdata(scores), marked.sum()
    above = ranks[marked].sum() - count * (count + 1) / 2
    return float(above / (count * (~marked).sum()))


def band(path: Path) -> Any:
    with cubes.open_quietly(path) as dataset:
        return dataset.read()


@pytest.fixture(params=ABU, ids=ABU.get)
def abu(request: pytest.FixtureRequest, shared_data: Path, tmp_path: Path) -> Any:
    """Name, path, (bands, rows, columns) and (rows, columns) marked pixels of a scene."""
    content = loadmat(shared_data / "abu" / f"{request.param}.mat")
    cube = np.moveaxis(content["data"], -1, 0)
    path = cubes.write_geotiff(tmp_path / "cube.tif", np.ascontiguousarray(cube))
    return ABU[request.param], path, cube.astype(np.float64), content["map"] != 0


@pytest.fixture
def jasper(shared_data: Path, tmp_path: Path) -> Any:
    """Path, endmembers (bands, 4) as stored, and abundances (4, rows, columns)."""
    content = loadmat(shared_data / "jasper_ridge" / "jasperRidge2_R198.mat")
    # MATLAB's order: the rows of a column follow each other.
    cube = content["Y"].reshape(-1, 100, 100).transpose(0, 2, 1)
    path = cubes.write_geotiff(tmp_path / "jasper.tif", np.ascontiguousarray(cube))
    abundances = content["A"].reshape(4, 100, 100).transpose(0, 2, 1)
    return path, content["M"] * float(content["Y"].max()), abundances


def table(path: Path, spectra: dict[str, Floats]) -> Path:
    rows = [",".join(["band", *spectra])]
    for number, values in enumerate(zip(*spectra.values(), strict=True), 1):
        rows.append(",".join([str(number), *(repr(float(v)) for v in values)]))
    path.write_text("\n".join(rows) + "\n")
    return path


def test_anomalies_of_real_scenes(abu: Any, tmp_path: Path) -> None:
    name, path, cube, marked = abu
    found = {}
    for shrink in SHRINKS:
        done("anomaly", path, "--shrink", shrink, "-o", tmp_path / f"{shrink}.tif")
        found[shrink] = area_under_curve(band(tmp_path / f"{shrink}.tif").ravel(), marked.ravel())
    ways = {"window": ["--window", "5,21"], "causal": ["--causal", 20]}
    for way, words in ways.items():
        done("anomaly", path, *words, "-o", tmp_path / f"{way}.tif")
        scores = band(tmp_path / f"{way}.tif")[0]
        there = np.isfinite(scores)
        found[way] = area_under_curve(scores[there], marked[there])
    print(f"\n| {name} | " + " | ".join(f"{value:.3f}" for value in found.values()) + " |")
    spectra = cube.reshape(len(cube), -1)
    apart = spectra - spectra.mean(axis=1, keepdims=True)
    independent = np.einsum("bn,bn->n", apart, np.linalg.solve(np.cov(spectra), apart))
    assert abs(found["none"] - area_under_curve(independent, marked.ravel())) < 0.001
    assert found["noise=10"] >= max(found["none"], found["noise=0.1"])
    told = done("stats", path, "--json").json()["blocks"][0]
    assert np.median(told["difference_std"]) > 6 * np.median(told["noise_std"])


def halves(marked: Any) -> list[tuple[Any, Any]]:
    """Marked pixels to learn from and to find: by place, in turns, and drawn ten times."""
    places = np.flatnonzero(marked)
    half = len(places) // 2
    drawn = [np.random.default_rng(seed).permutation(places) for seed in range(10)]
    turns = np.concatenate([places[::2], places[1::2]])
    return [(order[:half], order[half:]) for order in (places, turns, *drawn)]


def test_half_of_the_marked_pixels_finds_the_others(abu: Any, tmp_path: Path) -> None:
    name, path, cube, marked = abu
    spectra, flat = cube.reshape(len(cube), -1), marked.ravel()
    split = halves(marked)
    means = {f"half{n}": spectra[:, known].mean(axis=1) for n, (known, _) in enumerate(split)}
    targets = table(tmp_path / "halves.csv", means)
    words = [word for half in means for word in ("-t", f"{targets}:{half}")]
    found: dict[str, Floats] = {}
    for method, shrink in [("ace", None), ("mf", None), ("ace", "noise=3000"), ("sam", None)]:
        more = [] if shrink is None else ["--shrink", shrink]
        output = tmp_path / f"{method}{shrink}.tif"
        done("detect", path, *words, "--method", method, *more, "-o", output)
        values = []
        for scores, (known, _) in zip(band(output), split, strict=True):
            others = np.ones(flat.size, bool)
            others[known] = False
            values.append(area_under_curve(scores.ravel()[others], flat[others]))
        found[f"{method} {shrink or 'default'}"] = np.array(values)
    for way, values in found.items():
        print(f"\n| {name} | {way} | {values[0]:.3f} | {values[1]:.3f} | {values[2:].mean():.3f} |")
    default = found["ace default"]
    assert min(default[0], default[1], default[2:].mean()) >= 0.95


def test_endmembers_of_jasper_ridge(jasper: Any, tmp_path: Path) -> None:
    path, endmembers, abundances = jasper
    names = ["tree", "water", "soil", "road"]
    targets = table(tmp_path / "m.csv", dict(zip(names, endmembers.T, strict=True)))
    words = [word for name in names for word in ("-t", f"{targets}:{name}")]
    ways = [("sam", None), ("ace", None), ("mf", None), ("ace", "noise=0.1"), ("ace", "noise=10")]
    found = {}
    for method, shrink in ways:
        output = tmp_path / f"{method}{shrink}.tif"
        more = [] if shrink is None else ["--shrink", shrink]
        done("detect", path, *words, "--method", method, *more, "-o", output)
        pairs = zip(band(output), abundances, strict=True)
        found[method, shrink] = np.array([spearmanr(a.ravel(), b.ravel())[0] for a, b in pairs])
        cells = " | ".join(f"{value:.2f}" for value in found[method, shrink])
        print(f"\n| {method} {shrink or 'default'} | {cells} |")
    angle = found["sam", None]
    for method in ("ace", "mf"):
        assert (found[method, None] >= angle - 0.08).all()
    assert (found["ace", "noise=0.1"] < angle - 0.2).any()
