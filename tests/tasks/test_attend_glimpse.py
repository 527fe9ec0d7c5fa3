"""`attend glimpse` against rasterio's windows of the cube, for every layout and edge."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
from command import done, run
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window
from says import assert_geotiff_says, envi_pixels, pixels
from scipy.stats import kstest, norm

from hsitool.errors import DataError
from hsitool.storage.writers import create_cube
from hsitool.tasks import glimpse_chips

Array = NDArray[Any]
BANDS, ROWS, COLUMNS = 6, 40, 50
TURNED = (25.0, 7.5, 412_000.0, 6.25, -28.0, 5_800_000.0)


def made(
    path: Path, rng: np.random.Generator, dtype: str = "float32", **layout: Any
) -> tuple[Path, Array]:
    array = (rng.random((BANDS, ROWS, COLUMNS)) * 1000).astype(dtype)
    array[2, 7:12, 20:24] = -5
    array[:, 30, 30] = -5
    items: dict[str, Any] = {
        "wavelength_nm": cubes.wavelengths(BANDS),
        "crs": "EPSG:32633",
        "transform": TURNED,
        "nodata": -5,
    }
    cubes.write_geotiff(path, array, **items, **layout)
    return path, array


def weights(path: Path, array: Array, **items: Any) -> Path:
    grid = {"crs": "EPSG:32633", "transform": TURNED, "nodata": float("nan")}
    return cubes.write_geotiff(path, array[None].astype(np.float32), **{**grid, **items})


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "glimpses.csv").open() as file:
        return list(csv.DictReader(file))


def chips(folder: Path) -> list[Path]:
    return sorted(folder.glob("glimpse_*.tif"))


def window_of(row: dict[str, str], size: tuple[int, int]) -> Window:
    place = [int(np.floor(float(row[key]) + 0.5)) for key in ("row", "col")]
    return Window(place[1] - size[1] // 2, place[0] - size[0] // 2, size[1], size[0])


@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize(
    "layout",
    [
        {"interleave": "pixel"},
        {"interleave": "band", "blocks": ("strip", 7)},
        {"interleave": "pixel", "blocks": ("tile", 16), "compress": "deflate"},
        {"interleave": "band", "blocks": ("tile", 32), "compress": "lzw"},
    ],
    ids=["pixel", "band", "pixel-tiles", "band-tiles"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "zstd"])
def test_chips_are_windows_of_the_cube(
    layout: dict[str, Any], dtype: str, packed: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    path, array = made(tmp_path / "cube.tif", rng, dtype, **layout)
    out = tmp_path / "chips"
    more = ["--compress", "zstd"] if packed else []
    said = done(
        *("attend", "glimpse", path, "--at", "9,24", "--sigma", 6, "--size", "11x8"),
        *("--count", 12, "--seed", 3, "-o", out, *more),
    )
    assert said.out.splitlines() == [*map(str, chips(out)), str(out / "glimpses.csv")]
    assert len(chips(out)) == 12
    with cubes.open_quietly(path) as dataset:
        for chip, row in zip(chips(out), table(out), strict=True):
            window = window_of(row, (11, 8))
            with cubes.open_quietly(chip) as cut:
                expected = dataset.read(window=window)
                assert cut.read().tobytes() == expected.tobytes()
                corner = Affine.translation(window.col_off, window.row_off)
                assert cut.transform == Affine(*TURNED) @ corner
                assert (cut.crs, cut.nodata, cut.dtypes) == (dataset.crs, -5, dataset.dtypes)
                assert cut.tags(2)["wavelength"] == dataset.tags(2)["wavelength"]
            at = [int(np.floor(float(row[key]) + 0.5)) for key in ("row", "col")]
            assert (array[:, at[0], at[1]] != -5).all()
            x, y = Affine(*TURNED) @ (float(row["col"]) + 0.5, float(row["row"]) + 0.5)
            assert (float(row["x"]), float(row["y"])) == pytest.approx((x, y), rel=1e-12)


def test_the_first_chip_of_the_corner_has_the_source_transform(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path, _ = made(tmp_path / "cube.tif", rng)
    done("attend", "glimpse", path, "--at", "4,3", "--size", "9x7", "-o", tmp_path / "c")
    (row,) = table(tmp_path / "c")
    assert list(row) == ["id", "row", "col", "x", "y", "logp"]
    assert (row["id"], row["row"], row["col"], row["logp"]) == ("1", "4", "3", "0")
    with cubes.open_quietly(*chips(tmp_path / "c")) as cut:
        assert cut.transform[:6] == TURNED


@pytest.mark.parametrize("reference", ["transform", "gcps"])
def test_nothing_that_the_cube_says_is_lost(reference: str, tmp_path: Path) -> None:
    source = cubes.rich_geotiff(tmp_path / "rich.tif", reference=reference)
    done("attend", "glimpse", source.path, "--at", "6,7", "--size", "4x5", "-o", tmp_path / "c")
    top, left = 4, 5
    rpcs = dict(source.items.rpcs)
    rpcs |= {"LINE_OFF": str(4.5 - top), "SAMP_OFF": str(5.5 - left)}
    gcps = [(row - top, column - left, *rest) for row, column, *rest in source.items.gcps]
    known = source.items.transform
    moved = known and (Affine(*known) @ Affine.translation(left, top))[:6]
    (chip,) = chips(tmp_path / "c")
    assert_geotiff_says(chip, replace(source.items, rpcs=rpcs, gcps=gcps, transform=moved))
    np.testing.assert_array_equal(pixels(chip), source.array[:, top : top + 4, left : left + 5])


def test_many_bands_of_which_bad_ones_may_miss_data(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    array = rng.integers(0, 999, (150, 20, 20)).astype(np.int16)
    array[7, 9, 9], array[3] = -1, -1
    bbl = [int(band != 7) for band in range(150)]
    path = cubes.write_geotiff(tmp_path / "wide.tif", array, nodata=-1, bbl=bbl)
    done("attend", "glimpse", path, "--at", "9,9", "--size", 5, "-o", tmp_path / "c", "-q")
    np.testing.assert_array_equal(pixels(chips(tmp_path / "c")[0]), array[:, 7:12, 7:12])
    array[8, 9, 9] = -1
    path = cubes.write_geotiff(tmp_path / "holed.tif", array, nodata=-1, bbl=bbl)
    answer = run("attend", "glimpse", path, "--at", "9,9", "--size", 5, "-o", tmp_path / "d", "-q")
    assert answer.code == 3 and "row 9, column 9 has no data" in answer.err


def test_envi(tmp_path: Path) -> None:
    source = cubes.rich_envi(tmp_path / "rich", byte_order=1)
    out = tmp_path / "c"
    said = done(
        *("attend", "glimpse", source.path, "--at", "6,7", "--size", "4x5"),
        *("--format", "envi", "-o", out),
    )
    assert sorted(p.name for p in out.iterdir()) == [
        "glimpse_0001.hdr",
        "glimpse_0001.img",
        "glimpses.csv",
    ]
    assert said.out.splitlines()[0] == str(out / "glimpse_0001.img")
    np.testing.assert_array_equal(envi_pixels(out / "glimpse_0001.img"), source.array[:, 4:8, 5:10])


def test_padding_lies_off_the_edge_and_so_does_the_transform(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path, array = made(tmp_path / "cube.tif", rng)
    out = tmp_path / "c"
    done("attend", "glimpse", path, "--at", "1,48", "--size", 9, "--edge", "pad", "-o", out)
    expected = np.full((BANDS, 9, 9), -5, np.float32)
    expected[:, 3:, :6] = array[:, :6, 44:]
    (chip,) = chips(out)
    np.testing.assert_array_equal(pixels(chip), expected)
    with cubes.open_quietly(chip) as cut:
        assert cut.transform == Affine(*TURNED) @ Affine.translation(44, -3)
    plain = tmp_path / "plain.tif"
    cubes.write_geotiff(plain, array)
    done(
        "attend",
        "glimpse",
        plain,
        "--at",
        "39,0",
        "--size",
        60,
        "--edge",
        "pad",
        "-o",
        tmp_path / "p",
    )
    with cubes.open_quietly(*chips(tmp_path / "p")) as cut:
        found = cut.read()
        assert np.isnan(cut.nodata)
    assert np.isnan(found).sum() == found.size - BANDS * 31 * 30
    np.testing.assert_array_equal(found[:, :31, 30:], array[:, 9:, :30])


def test_shifted_crops_lie_inside(tmp_path: Path, rng: np.random.Generator) -> None:
    path, array = made(tmp_path / "cube.tif", rng)
    done(
        "attend",
        "glimpse",
        path,
        "--at",
        "1,48",
        "--size",
        9,
        "--edge",
        "shift",
        "-o",
        tmp_path / "c",
    )
    (chip,) = chips(tmp_path / "c")
    np.testing.assert_array_equal(pixels(chip), array[:, :9, 41:])
    with cubes.open_quietly(chip) as cut:
        assert cut.transform == Affine(*TURNED) @ Affine.translation(41, 0)


def test_places_on_the_map_may_lie_between_pixels(tmp_path: Path, rng: np.random.Generator) -> None:
    path, _ = made(tmp_path / "cube.tif", rng)
    x, y = Affine(*TURNED) @ (33.1, 21.9)  # 32.6, 21.4 where centres are whole numbers
    out = tmp_path / "c"
    done(
        *("attend", "glimpse", path, "--xy", f"{x!r},{y!r}", "--sigma", 2, "--size", 7),
        *("--count", 400, "--seed", 1, "-o", out),
    )
    rows, columns, logp = (
        np.array([float(row[key]) for row in table(out)]) for key in ("row", "col", "logp")
    )
    assert abs(rows.mean() - 21.4) <= 4 * 2 / 20 and abs(columns.mean() - 32.6) <= 4 * 2 / 20
    assert kstest(rows, norm(21.4, 2).cdf).pvalue > 1e-3
    mass = 1 - np.prod([np.diff(norm.cdf([29.5, 30.5], m, 2))[0] for m in (21.4, 32.6)])
    plain = norm.logpdf(rows, 21.4, 2) + norm.logpdf(columns, 32.6, 2)
    np.testing.assert_allclose(logp, plain - np.log(mass), atol=1e-7)  # and the block at rows 7-11
    assert [row["row"] for row in table(out)] == [repr(value) for value in rows.tolist()]


def test_pixels_are_drawn_from_a_mask(tmp_path: Path, rng: np.random.Generator) -> None:
    path, array = made(tmp_path / "cube.tif", rng)
    alpha = np.zeros((ROWS, COLUMNS))
    alpha[15:25, 10:40] = rng.random((10, 30))
    alpha[8:11, 20:23] = 1e6  # where the cube has no data
    alpha[0, :] = 1e6  # no room for a crop
    alpha[20, 12:20] = np.nan
    mask, out = weights(tmp_path / "m.tif", alpha), tmp_path / "c"
    done("attend", "glimpse", path, "--from", mask, "--size", 5, "--count", 150, "-o", out)
    places = [(int(row["row"]), int(row["col"])) for row in table(out)]
    assert len(set(places)) == 150
    known = np.nan_to_num(np.float32(alpha).astype(float))
    known[8:11, 20:23], known[0] = 0, 0
    left, logp = known.sum(), [float(row["logp"]) for row in table(out)]
    for place, own in zip(places, logp, strict=True):
        assert known[place] > 0 and (array[:, *place] != -5).all()
        assert own == pytest.approx(np.log(known[place] / left), rel=1e-9)
        left -= known[place]
    again = tmp_path / "again"
    done(
        *("attend", "glimpse", path, "--from", mask, "--size", 5, "--count", 290, "--replace"),
        *("-o", again),
    )
    drawn = [(int(row["row"]), int(row["col"])) for row in table(again)]
    assert len(set(drawn)) < 290
    expected = [np.log(known[place] / known.sum()) for place in drawn]
    np.testing.assert_allclose([float(row["logp"]) for row in table(again)], expected, rtol=1e-9)


def test_the_best_boxes_of_a_mask(tmp_path: Path, rng: np.random.Generator) -> None:
    path, _ = made(tmp_path / "cube.tif", rng)
    alpha = rng.gamma(0.2, size=(ROWS, COLUMNS))
    mask, out = weights(tmp_path / "m.tif", alpha), tmp_path / "c"
    said = done(
        *("attend", "glimpse", path, "--from", mask, "--best", "--size", "6x9"),
        *("--count", 3, "-o", out, "--json"),
    ).json()
    known = np.float32(alpha).astype(float)
    valid = (pixels(path) != -5).all(axis=0)
    known[~valid] = 0
    sums = np.array(
        [
            [known[r : r + 6, c : c + 9].sum() if valid[r + 3, c + 4] else 0 for c in range(42)]
            for r in range(35)
        ]
    )
    for one in said["glimpses"]:
        best = np.unravel_index(np.argmax(sums), sums.shape)
        assert one["window"] == [*best, 6, 9]
        assert one["share"] == pytest.approx(sums[best] / known.sum(), rel=1e-9)
        rows, columns = np.ogrid[:35, :42]
        sums[(abs(rows - best[0]) < 6) & (abs(columns - best[1]) < 9)] = 0


def test_a_query_weighs_as_attend_mask_does(sample: Path, tmp_path: Path) -> None:
    query, mask = tmp_path / "q.csv", tmp_path / "m.tif"
    query.write_text(done("spectrum", sample, "--at", "28,12").out)
    wanted = ("--query", query, "--focus", "2%", "--norm", "softmax")
    done("attend", "mask", sample, *wanted, "-o", mask, "-q")
    more = ("--size", 7, "--count", 6, "--sigma", 1.5, "--seed", 4)
    done("attend", "glimpse", sample, "--from", mask, *more, "-o", tmp_path / "a")
    done("attend", "glimpse", sample, *wanted, *more, "-o", tmp_path / "b", "-q")
    for one, other in zip(table(tmp_path / "a"), table(tmp_path / "b"), strict=True):
        assert (one["row"], one["col"]) == (other["row"], other["col"])
        assert float(one["logp"]) == pytest.approx(float(other["logp"]), abs=1e-5)


def test_best_alone_looks_for_what_is_odd(sample: Path, tmp_path: Path) -> None:
    mask = tmp_path / "m.tif"
    done("attend", "mask", sample, "--score", "rx", "-o", mask, "-q")
    done("attend", "glimpse", sample, "--from", mask, "--best", "--size", 7, "-o", tmp_path / "a")
    said = done("attend", "glimpse", sample, "--best", "--size", 7, "-o", tmp_path / "b")
    assert "--best without a query: weights by what is odd (--score rx)" in said.err
    assert table(tmp_path / "a") == table(tmp_path / "b")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_seed_same_bytes(tmp_path: Path, rng: np.random.Generator) -> None:
    path, _ = made(tmp_path / "cube.tif", rng)
    mask = weights(tmp_path / "m.tif", rng.random((ROWS, COLUMNS)))
    asked = ("attend", "glimpse", path, "--from", mask, "--sigma", 3, "--size", 8, "--count", 5)
    done(*asked, "--seed", 7, "-o", tmp_path / "a")
    done(*asked, "--seed", 7, "-o", tmp_path / "b", "--threads", 1, "--max-memory", "300MB")
    done(*asked, "--seed", 8, "-o", tmp_path / "c")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a")["glimpses.csv"] != files(tmp_path / "c")["glimpses.csv"]


def test_nothing_is_overwritten_unasked_and_former_chips_go(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    path, _ = made(tmp_path / "cube.tif", rng)
    out = tmp_path / "c"
    asked = ("attend", "glimpse", path, "--at", "20,20", "--size", 5, "-o", out)
    done(*asked, "--sigma", 3, "--count", 4)
    (out / "mine.txt").write_text("mine")
    (out / "glimpse_0003.tif.aux.xml").write_text("of the former chip")
    before = files(out)
    refused = run(*asked)
    assert refused.code == 2 and "glimpse_0001.tif exists" in refused.err
    assert files(out) == before
    done(*asked, "--overwrite")
    assert sorted(files(out)) == ["glimpse_0001.tif", "glimpses.csv", "mine.txt"]


def test_a_failure_leaves_the_folder_as_it_was(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = made(tmp_path / "cube.tif", rng)
    asked = ("attend", "glimpse", path, "--at", "20,20", "--size", 5, "--sigma", 2)
    done(*asked, "--count", 3, "-o", tmp_path / "old")
    before, written = files(tmp_path / "old"), []

    def failing(path: Path, *more: Any) -> Any:
        written.append(path.name)
        if len(written) % 3 == 0:
            raise DataError(f"{path}: no space left on the disk: nothing was written")
        return create_cube(path, *more)

    monkeypatch.setattr(glimpse_chips, "create_cube", failing)
    for folder in ("old", "new"):
        answer = run(*asked, "--count", 3, "--overwrite", "-o", tmp_path / folder)
        assert answer.code == 3 and "no space left" in answer.err
    assert files(tmp_path / "old") == before
    assert not (tmp_path / "new").exists()


def test_a_cube_without_georeference(tmp_path: Path, rng: np.random.Generator) -> None:
    array = rng.integers(0, 9, (3, 12, 12)).astype(np.uint8)
    path = cubes.write_geotiff(tmp_path / "plain.tif", array)
    done("attend", "glimpse", path, "--at", "5,5", "--size", 3, "-o", tmp_path / "c")
    assert (tmp_path / "c" / "glimpses.csv").read_text() == "id,row,col,x,y,logp\n1,5,5,,,0\n"


def test_complex_samples_are_cropped_too(tmp_path: Path, rng: np.random.Generator) -> None:
    array = (rng.random((2, 12, 12)) + 1j).astype(np.complex64)
    path = cubes.write_geotiff(tmp_path / "c.tif", array)
    done("attend", "glimpse", path, "--at", "5,5", "--size", 3, "--sigma", 1, "-o", tmp_path / "o")
    assert pixels(chips(tmp_path / "o")[0]).dtype == np.complex64
