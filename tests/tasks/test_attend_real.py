"""`attend mask` on real scenes whose truth others marked."""

from __future__ import annotations

from pathlib import Path

import cubes
import mat_scenes
import numpy as np
import pytest
from command import done, run


@pytest.mark.parametrize("name", ["abu-airport-1", "abu-urban-1", "hydice"])
def test_most_weight_lies_on_the_marked_pixels(
    name: str, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = mat_scenes.abu(shared_data, tmp_path, name)
    shares = {}
    for norm in ("sparsemax", "entmax15", "softmax"):
        out = tmp_path / f"{norm}.tif"
        done(
            *("attend", "mask", scene.path, "--roi", scene.mask, "--norm", norm),
            *("--focus", int(scene.marked.sum()), "-o", out),
        )
        with cubes.open_quietly(out) as dataset:
            alpha = dataset.read(1).astype(float) / float(dataset.tags(ns="HSITOOL")["WSUM"])
        shares[norm] = alpha[scene.marked].sum()
    with capsys.disabled():
        print(f"\n| {name} | {scene.marked.sum()} |", end="")
        print(" | ".join(f" {share:.2f}" for share in shares.values()), "|")
    assert shares["sparsemax"] >= 0.65
    assert shares["sparsemax"] > shares["softmax"]


@pytest.mark.parametrize("number", range(4), ids=mat_scenes.JASPER_MATERIALS)
def test_a_material_that_was_taken_away_does_not_look_found(
    number: int, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    array, shares, spectra = mat_scenes.jasper(shared_data)
    query = tmp_path / "q.csv"
    lines = [f"{band + 1},{value}" for band, value in enumerate(spectra[:, number].tolist())]
    query.write_text("\n".join(["band,material", *lines]) + "\n")
    without = np.where(shares[number] > 0.05, 0, array)
    cubes.write_geotiff(tmp_path / "all.tif", array, nodata=0)
    cubes.write_geotiff(tmp_path / "without.tif", without, nodata=0)
    asked = ("--query", query, "--require", "present", "--json")
    there = run("attend", "mask", tmp_path / "all.tif", *asked, "-o", tmp_path / "a.tif")
    gone = run("attend", "mask", tmp_path / "without.tif", *asked, "-o", tmp_path / "b.tif")
    assert (there.code, there.json()["present"]) == (0, True)
    assert "absent" not in there.err
    assert (gone.code, gone.json()["present"]) == (1, False)
    assert "warning" in gone.err and "the query may be absent" in gone.err
    alpha = np.nan_to_num(_alpha(tmp_path / "a.tif"))
    held = float(np.sum(alpha * shares[number]))
    angles = there.json()["best_angle_deg"], gone.json()["best_angle_deg"]
    with capsys.disabled():
        name = mat_scenes.JASPER_MATERIALS[number]
        print(f"\n| {name} | {held:.2f} | {angles[0]:.1f}° | {angles[1]:.1f}° |")
    assert held > 0.85


def _alpha(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    with cubes.open_quietly(path) as dataset:
        return dataset.read(1).astype(float) / float(dataset.tags(ns="HSITOOL")["WSUM"])


def test_a_library_spectrum_in_a_real_scene(shared_data: Path, tmp_path: Path) -> None:
    """Wavelengths that step back, bands without data, another sensor's library in micrometres."""
    tile = min((shared_data / "enmap-box" / "potsdam_tiles" / "images").glob("*.tif"))
    library = shared_data / "enmap-box" / "berlin_lib" / "library_berlin.sli"
    said = done(
        *("attend", "mask", tile, "--query", f"{library}:deciduous tree 3", "--json"),
        *("-o", tmp_path / "m.tif"),
    )
    found = said.json()
    assert "'deciduous tree 3' does not cover bands" in said.err
    assert 100 < len(found["bands"]) < 224
    assert not {130, 131, 132, 133, 134, 135} & set(found["bands"])
    assert found["best_angle_deg"] < 10
