"""Few bands against all on real scenes whose targets others marked; `-s` prints the README's table.

pytest -s tests/tasks/test_attend_bands_real.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cubes
import mat_scenes
import numpy as np
import pytest
from command import done
from numpy.typing import NDArray
from says import pixels
from scipy.stats import rankdata

SCENES = {"abu-airport-1": "airport", "abu-urban-1": "urban", "hydice": "hydice"}
DRAWINGS = 5
Array = NDArray[Any]


def area_under_curve(scores: Array, marked: NDArray[np.bool_]) -> float:
    """The share of pairs of a marked and another pixel in which the marked one scores higher."""
    ranks, count = rankdata(scores), int(marked.sum())
    above = ranks[marked].sum() - count * (count + 1) / 2
    return float(above / (count * (~marked).sum()))


def halves(marked: NDArray[np.bool_]) -> list[Array]:
    """Marked pixels to learn from: the first half, every other one, and some drawings."""
    places = np.flatnonzero(marked)
    half = len(places) // 2
    drawn = [np.random.default_rng(seed).permutation(places)[:half] for seed in range(DRAWINGS)]
    return [places[:half], places[::2][:half], *drawn]


def found_by(
    scene: mat_scenes.Marked, learnt: Array, folder: Path, bands: list[int] | None
) -> float:
    """How well `detect` finds the other marked pixels by the matched filter on some bands."""
    spectra = scene.array.reshape(len(scene.array), -1).astype(float)
    mean = spectra[:, learnt].mean(axis=1)
    target, out = folder / "t.csv", folder / "score.tif"
    target.write_text("band,t\n" + "".join(f"{b},{v!r}\n" for b, v in enumerate(mean.tolist(), 1)))
    few: list[str] = []
    if bands is not None:  # neighbours do not tell the noise of bands that lie apart: no ridge
        few = ["--bands", ",".join(map(str, sorted(bands))), "--shrink", "none"]
    asked = ("detect", scene.path, "-t", target, "--method", "mf", "--overwrite", "-o", out)
    done(*asked, *few, "-q")
    others = np.ones(scene.marked.size, bool)
    others[learnt] = False
    return area_under_curve(pixels(out).ravel()[others], scene.marked.ravel()[others])


@pytest.mark.parametrize("name", SCENES, ids=SCENES.get)
def test_five_picked_bands_find_what_all_find(
    name: str, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = mat_scenes.abu(shared_data, tmp_path, name)
    few, whole, agree = [], [], []
    for learnt in halves(scene.marked):
        half = np.zeros(scene.marked.size, np.uint8)
        half[learnt] = 1
        mask = tmp_path / "half.tif"
        cubes.write_geotiff(mask, half.reshape(1, *scene.marked.shape))
        asked = ("attend", "bands", scene.path, "-t", mask, "--pick", 5, "--overwrite")
        said = done(*asked, "-o", tmp_path / "b.csv", "--json", "-q").json()
        bands = [row["band"] for row in said["bands"]]
        few.append(found_by(scene, learnt, tmp_path, bands))
        whole.append(found_by(scene, learnt, tmp_path, None))
        agree.append(said["halves"]["agree"])
    listed = [few[0], whole[0], few[1], whole[1], np.mean(few[2:]), np.mean(whole[2:])]
    ratios = np.array(few) / np.array(whole)
    with capsys.disabled():
        cells = " / ".join(f"{value:.3f}" for value in listed[::2])
        others = " / ".join(f"{value:.3f}" for value in listed[1::2])
        print(f"\n| {SCENES[name]} | {len(scene.array)} | {cells} | {others} |", end="")
        print(f" {ratios.min():.3f} | {np.mean(agree):.1f} of 5 |")
    assert ratios.min() >= 0.9
