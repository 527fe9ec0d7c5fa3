"""`attend bands` against NumPy and SciPy, from a made scene with gaps, flags and holes."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done, run
from numpy.typing import NDArray
from says import pixels
from scipy.special import softmax

Array = NDArray[Any]
BANDS, ROWS, COLUMNS = 40, 50, 44
GOOD = [b for b in range(BANDS) if b not in (5, 17)]
FWHM = 20.0
ITEMS: dict[str, Any] = {
    "wavelength_nm": [400.0 + 15.0 * band for band in range(BANDS)],
    "fwhm_nm": [FWHM] * BANDS,
    "bbl": [int(b != 5) for b in range(BANDS)],
    "names": [f"b{b}" for b in range(BANDS)],
    "crs": "EPSG:32633",
    "transform": (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_800_000.0),
    "nodata": -9999,
    "scales": [0.5] * BANDS,
    "offsets": [100.0] * BANDS,
}


@dataclass(frozen=True)
class Scene:
    """A cube, its physical values (NaN where missing), its target's pixels, as a mask and here."""

    path: Path
    mask: Path
    physical: Array
    marked: NDArray[np.bool_]

    @property
    def valid(self) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.physical[GOOD]).all(axis=0))

    @property
    def spectra(self) -> Array:
        """(good bands, valid pixels)"""
        found: Array = self.physical[GOOD][:, self.valid]
        return found

    @property
    def target(self) -> Array:
        """(good bands, pixels) of the target, in reading order."""
        found: Array = self.physical[GOOD][:, self.valid & self.marked]
        return found


@pytest.fixture
def scene(tmp_path: Path, rng: np.random.Generator) -> Scene:
    basis = np.cumsum(rng.normal(size=(4, BANDS)), axis=1) * 200 + 3000
    mixed = np.moveaxis(rng.dirichlet([1, 1, 1], (ROWS, COLUMNS)) @ basis[:3], -1, 0)
    marked = np.zeros((ROWS, COLUMNS), bool)
    marked[20:27, 30:37] = marked[44, 3:9] = True
    mixed[:, marked] = 0.6 * mixed[:, marked] + 0.4 * basis[3][:, None]
    stored = np.rint(mixed + rng.normal(0, 25, mixed.shape)).astype(np.int16)
    stored[17] = -9999
    stored[:, 22, 33] = stored[3, 8, 9] = -9999
    path = cubes.write_geotiff(tmp_path / "scene.tif", stored, **ITEMS)
    mask = cubes.write_geotiff(tmp_path / "target.tif", marked[None].astype(np.uint8))
    physical = np.where(stored == -9999, np.nan, stored * 0.5 + 100)
    return Scene(path, mask, physical, marked)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def told(covariance: Array, d: Array, bands: list[int]) -> float:
    if not bands:
        return 0.0
    return float(d[bands] @ np.linalg.solve(covariance[np.ix_(bands, bands)], d[bands]))


def by_hand(covariance: Array, d: Array, count: int, gap_nm: float = 2 * FWHM) -> list[int]:
    nm = np.array(ITEMS["wavelength_nm"])[GOOD]
    picked: list[int] = []
    for _ in range(count):
        free = [b for b in range(len(d)) if all(abs(nm[b] - nm[p]) >= gap_nm for p in picked)]
        free = [b for b in free if b not in picked]
        picked.append(max(free, key=lambda b: told(covariance, d, [*picked, b])))
    return picked


@pytest.mark.parametrize("background", [False, True])
def test_picks_are_those_of_a_search_by_hand(
    background: bool, scene: Scene, tmp_path: Path
) -> None:
    around, more = scene.spectra, []
    if background:
        inside = np.zeros((ROWS, COLUMNS), bool)
        inside[:19] = True
        cubes.write_geotiff(tmp_path / "back.tif", inside[None].astype(np.uint8))
        around, more = scene.physical[GOOD][:, scene.valid & inside], ["--background", "back.tif"]
    more = [str(tmp_path / word) if word.endswith(".tif") else word for word in more]
    out = tmp_path / "bands.csv"
    asked = ("attend", "bands", scene.path, "--target", scene.mask, *more)
    said = done(*asked, "--pick", 4, "-o", out, "--json").json()
    covariance, d = np.cov(around), scene.target.mean(axis=1) - around.mean(axis=1)
    expected = by_hand(covariance, d, 4)
    assert [row["band"] for row in said["bands"]] == [GOOD[p] + 1 for p in expected]
    for number, row in enumerate(said["bands"], 1):
        total = told(covariance, d, expected[:number])
        assert row["total"] == pytest.approx(total, rel=1e-9)
        gain = total - told(covariance, d, expected[: number - 1])
        assert row["gain"] == pytest.approx(gain, rel=1e-9)
    assert sum(row["weight"] for row in said["bands"]) == pytest.approx(1, abs=1e-12)
    assert [{k: float(v) for k, v in row.items()} for row in rows(out)] == said["bands"]
    assert said["bands_in_use"] == [band + 1 for band in GOOD]
    assert said["min_gap"] == [40.0] * 4


def test_halves_of_the_target_pick_for_themselves(scene: Scene, tmp_path: Path) -> None:
    out = tmp_path / "b.csv"
    asked = ("attend", "bands", scene.path, "-t", scene.mask, "-o", out)
    answer = done(*asked, "--json")
    said = answer.json()
    covariance, mean = np.cov(scene.spectra), scene.spectra.mean(axis=1)
    places = np.argwhere(scene.marked)
    valid = scene.valid[scene.marked]
    half = len(places) // 2
    parts = np.arange(len(places))[valid] < half
    picks = [
        by_hand(covariance, scene.target[:, p].mean(axis=1) - mean, 5) for p in (parts, ~parts)
    ]
    assert said["halves"]["first"] == [GOOD[p] + 1 for p in picks[0]]
    assert said["halves"]["second"] == [GOOD[p] + 1 for p in picks[1]]
    assert 0 <= said["halves"]["agree"] <= said["halves"]["of"] == 5
    line = (
        f"halves of the target's {valid.sum()} pixels agree on {said['halves']['agree']} of 5 bands"
    )
    assert line in answer.err


def test_a_gap_is_kept(scene: Scene, tmp_path: Path) -> None:
    for gap in ("0", "90"):
        out = tmp_path / f"{gap}.csv"
        done(
            "attend",
            "bands",
            scene.path,
            "-t",
            scene.mask,
            "--pick",
            5,
            "--min-gap",
            gap,
            "-o",
            out,
        )
        nm = np.array([float(row["wavelength_nm"]) for row in rows(out)])
        apart = np.abs(np.subtract.outer(nm, nm))[~np.eye(5, dtype=bool)]
        assert apart.min() >= float(gap)
        assert gap == "90" or apart.min() < 40


def test_without_wavelengths_picks_are_two_bands_apart(tmp_path: Path, scene: Scene) -> None:
    path = cubes.write_geotiff(tmp_path / "plain.tif", scene.physical[GOOD].astype(np.float32))
    out = tmp_path / "b.csv"
    done("attend", "bands", path, "-t", scene.mask, "--pick", 8, "-o", out)
    bands = np.array([int(row["band"]) for row in rows(out)])
    assert "wavelength_nm" not in rows(out)[0]
    assert np.abs(np.subtract.outer(bands, bands))[~np.eye(8, dtype=bool)].min() >= 2


@pytest.mark.parametrize("kind", ["roi", "spectrum"])
def test_soft_weights_are_a_softmax_of_fisher_contrasts(
    kind: str, scene: Scene, tmp_path: Path
) -> None:
    d = scene.target.mean(axis=1) - scene.spectra.mean(axis=1)
    own, target = scene.target.var(axis=1, ddof=1), scene.mask
    if kind == "spectrum":
        target, own = tmp_path / "q.csv", 0 * own
        values = dict(zip(GOOD, scene.target.mean(axis=1).tolist(), strict=True))
        lines = [f"{b + 1},{values.get(b, '')!r}" for b in range(BANDS)]
        target.write_text("band,leaf\n" + "\n".join(lines).replace("''", "") + "\n")
    scores = d**2 / (own + scene.spectra.var(axis=1, ddof=1))
    out = tmp_path / "soft.csv"
    asked = ("attend", "bands", scene.path, "-t", target, "--soft", "-o", out, "--overwrite")
    done(*asked, "--temperature", 0.05)
    found = rows(out)
    assert [int(row["band"]) - 1 for row in found] == GOOD
    weights = np.array([float(row["weight"]) for row in found])
    np.testing.assert_allclose([float(row["score"]) for row in found], scores, rtol=1e-9)
    stored = np.array([float(row["score"]) for row in found])
    np.testing.assert_allclose(weights, softmax(stored / 0.05), rtol=1e-12, atol=1e-15)
    said = done(*asked, "--focus", 6, "--json").json()
    weights = np.array([row["weight"] for row in said["bands"]])
    assert said["ess"] == pytest.approx(6, rel=1e-6)
    assert 1 / np.sum(weights**2) == pytest.approx(6, rel=1e-6)
    np.testing.assert_allclose(weights, softmax(said["beta"] * stored), rtol=1e-12)


def test_scores_without_a_target(scene: Scene, tmp_path: Path, rng: np.random.Generator) -> None:
    image = scene.physical[10] * 2 + rng.normal(0, 30, (ROWS, COLUMNS))
    image[5, 5] = np.nan
    cubes.write_geotiff(tmp_path / "map.tif", image[None], nodata=float("nan"))
    asked = ("attend", "bands", scene.path, "--soft", "--json", "-o", tmp_path / "b.csv")
    said = done(*asked, "--score", tmp_path / "map.tif", "--overwrite").json()
    known = scene.valid & np.isfinite(image)
    expected = [abs(np.corrcoef(scene.physical[b][known], image[known])[0, 1]) for b in GOOD]
    np.testing.assert_allclose([row["score"] for row in said["bands"]], expected, rtol=1e-9)
    done("stats", scene.path, "-o", tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as model:
        expected = np.abs(model["mean"]) / model["noise_std"]
    said = done(*asked, "--score", "snr", "--overwrite").json()
    np.testing.assert_allclose([row["score"] for row in said["bands"]], expected, rtol=1e-9)


def test_a_sample_is_drawn_by_the_weights(scene: Scene, tmp_path: Path) -> None:
    asked = ("attend", "bands", scene.path, "-t", scene.mask, "--focus", 5)
    done(*asked, "--soft", "-o", tmp_path / "soft.csv")
    alpha = {row["band"]: float(row["weight"]) for row in rows(tmp_path / "soft.csv")}
    counts = dict.fromkeys(alpha, 0)
    for seed in range(40):
        out = tmp_path / f"{seed}.csv"
        done(*asked, "--sample", 2, "--seed", seed, "-o", out, "-q")
        first, second = rows(out)
        counts[first["band"]] += 1
        assert float(first["logp"]) == pytest.approx(np.log(alpha[first["band"]]), abs=1e-9)
        left = np.log(alpha[second["band"]] / (1 - alpha[first["band"]]))
        assert float(second["logp"]) == pytest.approx(left, abs=1e-9)
    apart = sum(abs(counts[band] / 40 - weight) for band, weight in alpha.items())
    assert apart < 1.2 and len([band for band, count in counts.items() if count]) > 2
    done(*asked, "--sample", 2, "--seed", 3, "-o", tmp_path / "again.csv", "-q")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "3.csv").read_bytes()


@pytest.mark.parametrize(
    "way", [["--pick", "4"], ["--soft", "--norm", "sparsemax"], ["--sample", "3"]]
)
def test_composite_and_cube(way: list[str], scene: Scene, tmp_path: Path) -> None:
    gray, picked = tmp_path / "gray.tif", tmp_path / "picked.tif"
    cube = [] if "--soft" in way else ["--cube", picked]
    said = done(
        *("attend", "bands", scene.path, "-t", scene.mask, *way, "-o", tmp_path / "b.csv"),
        *("--composite", gray, *cube, "--plot", tmp_path / "b.png", "--json"),
    ).json()
    used = [row for row in said["bands"] if row["weight"] > 0]
    bands, weights = [row["band"] - 1 for row in used], [row["weight"] for row in used]
    physical = scene.physical[bands]
    expected = np.einsum("b,brc->rc", weights, physical)
    np.testing.assert_allclose(pixels(gray)[0], expected, rtol=1e-6)
    assert np.isnan(expected).sum() in (1, 2)  # what other bands lack does not matter
    with cubes.open_quietly(gray) as dataset:
        assert dataset.transform[:6] == ITEMS["transform"] and np.isnan(dataset.nodata)
        assert dataset.tags(ns="HSITOOL")["WAY"] == said["way"]
    assert (tmp_path / "b.png").read_bytes()[:4] == b"\x89PNG"
    if cube:
        inside = sorted(row["band"] - 1 for row in said["bands"])
        np.testing.assert_array_equal(pixels(picked), pixels(scene.path)[inside])
        with cubes.open_quietly(picked) as dataset:
            assert list(dataset.descriptions) == [f"b{b}" for b in inside]
            known = [float(dataset.tags(n + 1)["wavelength"]) for n in range(len(inside))]
            assert known == [ITEMS["wavelength_nm"][b] for b in inside]
            assert set(dataset.scales) == {0.5} and dataset.nodata == -9999


def test_a_target_in_polygons_and_a_stored_model(scene: Scene, tmp_path: Path) -> None:
    ring = [[30, 20], [37, 20], [37, 27], [30, 27], [30, 20]]
    ground = [[400_000 + 30 * x, 5_800_000 - 30 * y] for x, y in ring]
    shape = {"type": "Polygon", "coordinates": [ground]}
    (tmp_path / "roi.json").write_text(json.dumps(shape))
    block = np.zeros((1, ROWS, COLUMNS), np.uint8)
    block[0, 20:27, 30:37] = 1
    cubes.write_geotiff(tmp_path / "roi.tif", block)
    done("stats", scene.path, "-o", tmp_path / "m.npz", "-q")
    found = []
    for target, more in (("roi.json", []), ("roi.tif", ["--model", tmp_path / "m.npz"])):
        asked = ("attend", "bands", scene.path, "-t", tmp_path / target, *more)
        said = done(*asked, "-o", tmp_path / "b.csv", "--overwrite", "--json").json()
        found.append([row["band"] for row in said["bands"]])
        assert said["target_pixels"] == 48
    assert found[0] == found[1]


def test_a_cube_of_picks_has_the_line_that_makes_it(scene: Scene, tmp_path: Path) -> None:
    picked = tmp_path / "picked.tif"
    asked = ("attend", "bands", scene.path, "-t", scene.mask, "--pick", "3", "--min-gap", "50")
    done(*asked, "-o", tmp_path / "b.csv", "--cube", picked, "-q")
    before = picked.read_bytes()
    (line,) = done("provenance", picked).out.splitlines()
    words = line.split()
    assert words[:3] == ["hsitool", "attend", "bands"] and words[-2:] == ["--cube", str(picked)]
    done(*words[1:], "-o", tmp_path / "again.csv", "--overwrite", "-q")
    assert picked.read_bytes() == before


def test_memory_and_threads_change_nothing(scene: Scene, tmp_path: Path) -> None:
    asked = ("attend", "bands", scene.path, "-t", scene.mask, "--composite")
    done(*asked, tmp_path / "a.tif", "-o", tmp_path / "a.csv")
    done(*asked, tmp_path / "b.tif", "-o", tmp_path / "b.csv", "--threads", 1)
    first, second = rows(tmp_path / "a.csv"), rows(tmp_path / "b.csv")
    assert [row["band"] for row in first] == [row["band"] for row in second]
    for one, other in zip(first, second, strict=True):
        assert float(one["gain"]) == pytest.approx(float(other["gain"]), rel=1e-9)


def test_a_failure_leaves_no_file(scene: Scene, tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    asked = ("attend", "bands", scene.path, "-t", scene.mask, "-o", tmp_path / "b.csv")
    answer = run(*asked, "--composite", tmp_path / "g.tif", "--co", "NOSUCH=1")
    assert answer.code == 2 and "b.csv" not in {path.name for path in tmp_path.iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == before
