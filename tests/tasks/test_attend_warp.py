"""`attend warp` on files: pixels, places, and what the files say, whatever the memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest
import rasterio
from command import done, run
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

Array = NDArray[Any]
ORACLE = np.load(Path(__file__).parents[1] / "oracles" / "attention.npz")
UTM = "EPSG:32633"
PLACE = (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_800_000.0)


def times(*maps: Any) -> Affine:
    """The product of affine maps, the last one first."""
    product = np.eye(3)
    for affine in maps:
        product = product @ np.reshape([*tuple(affine)[:6], 0, 0, 1], (3, 3))
    return Affine(*product[:2].reshape(-1))


SLANTED = tuple(times(PLACE, Affine.rotation(23), Affine.scale(1.0, 1.4)))[:6]


def read(path: Path) -> Array:
    with cubes.open_quietly(path) as dataset:
        return dataset.read()


def transform(path: Path) -> Affine:
    with cubes.open_quietly(path) as dataset:
        return dataset.transform


def made_cube(path: Path, array: Array, **items: Any) -> Path:
    return cubes.write_geotiff(path, array, **{"crs": UTM, "transform": PLACE, **items})


def noise(rng: np.random.Generator, *shape: int, dtype: Any = np.float64) -> Array:
    return rng.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize(("dtype", "limit"), [(np.float64, 1e-10), (np.float32, 1e-6)])
def test_theta_gives_what_pytorch_gives(
    number: int, dtype: Any, limit: float, tmp_path: Path
) -> None:
    """Inside the rim, where zeros beyond the edge take no part."""
    image, expected = ORACLE["image"].astype(dtype), ORACLE[f"view_{number}"]
    cube = made_cube(tmp_path / "cube.tif", image)
    theta = ",".join(map(repr, ORACLE[f"theta_{number}"].reshape(-1).tolist()))
    size = "x".join(map(str, expected.shape[1:]))
    words = ("--theta", theta, "--size", size, "--no-antialias", "-o", tmp_path / "view.tif")
    done("attend", "warp", cube, *words)
    x, y = np.moveaxis(ORACLE[f"grid_{number}"], -1, 0)
    across, down = (x + 1) * image.shape[2] / 2 - 0.5, (y + 1) * image.shape[1] / 2 - 0.5
    inside = (across >= 0) & (across <= image.shape[2] - 1)
    inside &= (down >= 0) & (down <= image.shape[1] - 1)
    assert inside.any()
    made = read(tmp_path / "view.tif")
    assert made.dtype == dtype
    assert np.abs(made - expected)[:, inside].max() <= limit


@pytest.mark.parametrize("bands", [3, 130, 600])
def test_a_slanted_view_is_where_gdal_puts_it(
    bands: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    """GDAL resamples the cube onto the grid that the view claims to have: the same pixels."""
    array = noise(rng, bands, 40, 50, dtype=np.float32)
    cube = made_cube(tmp_path / "cube.tif", array, transform=SLANTED)
    view = tmp_path / "view.tif"
    said = done("attend", "warp", cube, "--at", "21,25", "--zoom", 2, "--rotate", 17, "--size",
                "24x31", "-o", view)  # fmt: skip
    assert "georeference is rotated" in said.err
    expected = np.zeros((bands, 24, 31), np.float32)
    reproject(
        array, expected, src_transform=Affine(*SLANTED), dst_transform=transform(view),
        src_crs=UTM, dst_crs=UTM, resampling=Resampling.bilinear, XSCALE=1, YSCALE=1,
    )  # fmt: skip
    assert np.abs(read(view) - expected).max() <= 1e-6 * np.ptp(array)


@pytest.mark.parametrize("size", ["9", "16x8", "40x50", "7x30"])
def test_zoom_1_copies_pixels(size: str, tmp_path: Path, rng: np.random.Generator) -> None:
    array = noise(rng, 4, 40, 50)
    cube = made_cube(tmp_path / "cube.tif", array)
    done("attend", "warp", cube, "--at", "20,25", "--size", size, "-o", tmp_path / "v.tif", "-q")
    rows, columns = (int(n) for n in (size.split("x") * 2)[:2])
    first, left = 20 - rows // 2, 25 - columns // 2
    assert np.array_equal(
        read(tmp_path / "v.tif"), array[:, first : first + rows, left : left + columns]
    )
    assert transform(tmp_path / "v.tif") == times(PLACE, Affine.translation(left, first))


def test_a_point_lies_in_the_middle(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = made_cube(tmp_path / "cube.tif", noise(rng, 2, 40, 50), transform=SLANTED)
    x, y = np.reshape(SLANTED, (2, 3)) @ (20.3, 11.8, 1)
    for more in (("--rotate", 31, "--zoom", 3), ("--north-up",)):
        view = tmp_path / f"{len(more)}.tif"
        done(
            "attend",
            "warp",
            cube,
            "--xy",
            f"{float(x)!r},{float(y)!r}",
            *more,
            "--size",
            "12x9",
            "-o",
            view,
        )
        middle = np.reshape(tuple(transform(view))[:6], (2, 3)) @ (4.5, 6, 1)
        assert middle == pytest.approx((x, y), abs=1e-8)
    upright = transform(tmp_path / "1.tif")
    assert (upright.b, upright.d) == pytest.approx((0, 0), abs=1e-12)
    assert (upright.a, upright.e) == pytest.approx((30, -42))


def test_the_whole_cube_at_a_quarter_of_its_size(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = made_cube(tmp_path / "cube.tif", noise(rng, 2, 200, 240))
    done("attend", "warp", cube, "--zoom", 0.25, "-o", tmp_path / "v.tif")
    made = read(tmp_path / "v.tif")
    assert made.shape == (2, 50, 60)
    assert made.std() <= 0.27
    done("attend", "warp", cube, "--zoom", 0.25, "--no-antialias", "-o", tmp_path / "p.tif")
    assert read(tmp_path / "p.tif").std() > 0.45
    assert transform(tmp_path / "v.tif") == times(PLACE, Affine.scale(4))


def test_what_a_cube_says_stays_and_what_moves_moves(tmp_path: Path) -> None:
    bands = 5
    array = cubes.spectra(bands, 30, 40, "int16")
    rpcs = {"LINE_OFF": "14.5", "SAMP_OFF": "19.5", "LINE_SCALE": "15", "SAMP_SCALE": "20"}
    rpcs |= {"LAT_OFF": "48", "LONG_OFF": "11", "HEIGHT_OFF": "500", "LAT_SCALE": "0.1"}
    rpcs |= {"LONG_SCALE": "0.1", "HEIGHT_SCALE": "500"}
    rpcs |= {
        f"{name}_COEFF": " ".join(["1"] + ["0"] * 19)
        for name in ("LINE_NUM", "LINE_DEN", "SAMP_NUM", "SAMP_DEN")
    }
    cube = cubes.write_geotiff(
        tmp_path / "cube.tif",
        array,
        wavelength_nm=cubes.wavelengths(bands),
        fwhm_nm=[8.0] * bands,
        bbl=[1, 1, 0, 1, 1],
        nodata=-9999,
        scales=[1e-4] * bands,
        gcps=[(0, 0, 11.0, 48.0, 0.0), (30, 40, 11.1, 47.9, 0.0), (0, 40, 11.1, 48.0, 0.0)],
        gcps_crs="EPSG:4326",
        rpcs=rpcs,
        tags={"": {"AUTHOR": "somebody"}},
    )
    done("attend", "warp", cube, "--at", "10,20", "--zoom", 2, "--size", "20x30", "-o",
         tmp_path / "v.tif")  # fmt: skip
    before, after = (done("info", p, "--json").json() for p in (cube, tmp_path / "v.tif"))
    assert (after["dtype"], after["nodata"]) == ("int16", -9999)
    assert after["band_table"] == before["band_table"]
    assert after["tags"][""]["AUTHOR"] == "somebody"
    # Pixel (20, 10) has its centre at (20.5, 10.5), which is (15.5, 10.5) in the view.
    for old, new in zip(before["gcps"], after["gcps"], strict=True):
        assert new["column"] == pytest.approx((old["column"] - 20.5) * 2 + 15.5)
        assert new["row"] == pytest.approx((old["row"] - 10.5) * 2 + 10.5)
        assert (new["x"], new["y"]) == (old["x"], old["y"])
    assert float(after["rpcs"]["SAMP_OFF"]) == pytest.approx((19.5 + 0.5 - 20.5) * 2 + 15.5 - 0.5)
    assert float(after["rpcs"]["LINE_OFF"]) == pytest.approx((14.5 + 0.5 - 10.5) * 2 + 10.5 - 0.5)
    assert float(after["rpcs"]["LINE_SCALE"]) == 30
    turned = done("attend", "warp", cube, "--rotate", 5, "-o", tmp_path / "turned.tif")
    assert "RPCs have no turned lines" in turned.err
    found = done("info", tmp_path / "turned.tif", "--json").json()
    assert found["rpcs"] == {} and len(found["gcps"]) == 3
    step = found["provenance"][-1]
    assert step["command"] == "attend warp" and len(step["settings"]["theta"]) == 6


def test_nodata_stays_where_it_is(tmp_path: Path, rng: np.random.Generator) -> None:
    """-9999 is never blended: pixels are as if it was not there."""
    array = rng.integers(1000, 2000, (3, 40, 40)).astype(np.int16)
    array[:, 10:20, 15:22], array[1, 30, 30] = -9999, -9999
    cube = made_cube(tmp_path / "cube.tif", array, nodata=-9999)
    for zoom, name in ((3.0, "near.tif"), (0.4, "far.tif")):
        done("attend", "warp", cube, "--zoom", zoom, "--rotate", 11, "-o", tmp_path / name, "-q")
        made = read(tmp_path / name)
        assert set(np.unique(made[made < 1000])) == {-9999}
        assert made.max() < 2000
        assert 0.02 < (made == -9999).mean() < 0.5


@pytest.mark.parametrize("layout", ["tif-pixel", "tif-band", "tif-packed", "envi-bil", "envi-bsq"])
@pytest.mark.parametrize(
    "words",
    [("--rotate", 35, "--zoom", 0.7), ("--rotate", 90), ("--rotate", 180), ("--zoom", 0.1)],
    ids=["slanted", "quarter", "half", "far"],
)
def test_the_same_bytes_in_little_memory(
    layout: str, words: tuple[object, ...], tmp_path: Path, rng: np.random.Generator
) -> None:
    array = noise(rng, 60, 300, 320, dtype=np.float32)
    array[:, 100:130, 50:90] = np.nan
    kind, _, order = layout.partition("-")
    if kind == "envi":
        cube = cubes.write_envi(tmp_path / "cube", array, interleave=order)
    else:
        packed = {"compress": "deflate", "blocks": ("tile", 64)} if order == "packed" else {}
        interleave = "band" if order == "band" else "pixel"
        cube = made_cube(tmp_path / "cube.tif", array, interleave=interleave, **packed)
    done("attend", "warp", cube, *words, "-o", tmp_path / "all.tif", "-q", "--threads", 2)
    little = "270MB" if order == "packed" else "163MB"
    more = ("--max-memory", little, "--threads", 1)
    if words[0] == "--zoom":
        more = ("--max-memory", "210MB" if order != "packed" else "310MB", "--threads", 1)
    said = run("attend", "warp", cube, *words, "-o", tmp_path / "some.tif", "-q", *more)
    if said.code == 2:  # less than even a narrow patch takes: what is said would do
        needed = said.err.split("give --max-memory ")[1].split("MB")[0]
        assert int(needed) < 330
        more = ("--max-memory", f"{needed}MB", "--threads", 1)
        said = run("attend", "warp", cube, *words, "-o", tmp_path / "some.tif", "-q", *more)
    assert said.code == 0, said.err
    first, second = read(tmp_path / "all.tif"), read(tmp_path / "some.tif")
    assert np.array_equal(first, second, equal_nan=True)
    assert np.isfinite(first).mean() > 0.4


def test_json(tmp_path: Path, sample: Path) -> None:
    view = tmp_path / "v.tif"
    words = ("--at", "20,20", "--zoom", 0.5, "--size", "8x6", "-o", view, "--json")
    said = done("attend", "warp", sample, *words).json()
    assert (said["rows"], said["columns"], said["smoothed"]) == (8, 6, True)
    assert said["scales"] == pytest.approx([2, 2])
    assert said["transform"] == list(transform(view))[:6]
    theta = ",".join(str(v) for row in said["theta"] for v in row)
    done("attend", "warp", sample, "--theta", theta, "--size", "8x6", "-o", tmp_path / "t.tif")
    assert np.array_equal(read(view), read(tmp_path / "t.tif"))
    assert json.loads(json.dumps(said)) == said


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("--theta", "1,2,0,2,4,0"), 2, "theta is singular"),
        (("--theta", "1,2,0"), 2, "--theta '1,2,0' is not six numbers"),
        (("--theta", "1,0,0,0,nan,0"), 2, "is not six numbers"),
        (("--theta", "1,0,9,0,1,0"), 2, "the view lies outside the cube"),
        (("--theta", "1,0,0,0,1,0", "--zoom", "2"), 2, "--theta says the whole view"),
        (("--at", "99,0"), 2, "place row 99, column 0 is outside the cube"),
        (("--xy", "0,0"), 2, "outside the cube"),
        (("--at", "1,1", "--xy", "0,0"), 2, "--at and --xy both say where"),
        (("--zoom", "0"), 2, "--zoom 0 is no factor above 0"),
        (("--zoom", "-2"), 2, "--zoom -2 is no factor above 0"),
        (("--rotate", "nan"), 2, "--rotate nan is no angle"),
        (("--rotate", "5", "--north-up"), 2, "--rotate turns the view"),
        (("--size", "0"), 2, "--size '0' is no size"),
        (("--size", "4x"), 2, "--size '4x' is no size"),
        (("--size", "9999999"), 2, "is no size"),
        (("--nodata", "7"), 2, "has the nodata -9999 already"),
    ],
)
def test_what_cannot_be_seen_is_told_in_one_line(
    words: tuple[str, ...], code: int, line: str, sample: Path, tmp_path: Path
) -> None:
    said = run("attend", "warp", sample, *words, "-o", tmp_path / "v.tif")
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("hsitool: error: ") and said.err.count("\n") == 1
    assert line in said.err
    assert not list(tmp_path.iterdir())


def test_a_view_larger_than_the_cube(tmp_path: Path, rng: np.random.Generator) -> None:
    array = rng.integers(1, 200, (2, 10, 12)).astype(np.uint8)
    cube = made_cube(tmp_path / "cube.tif", array)
    refused = run("attend", "warp", cube, "--at", "5,6", "--size", "30", "-o", tmp_path / "v.tif")
    assert refused.code == 2
    assert "uint8 has no value for that: give one with --nodata VALUE" in refused.err
    words = ("--at", "5,6", "--size", 30, "--nodata", 0, "-o", tmp_path / "v.tif")
    said = done("attend", "warp", cube, *words)
    assert "87 % of the view lies outside the cube" in said.err
    made = read(tmp_path / "v.tif")
    assert np.array_equal(made[:, 10:20, 9:21], array)
    made[:, 10:20, 9:21] = 0
    assert not made.any()


def test_nothing_but_holes(tmp_path: Path) -> None:
    array = np.full((2, 20, 20), np.nan, np.float32)
    array[:, 0, 0] = 1
    cube = made_cube(tmp_path / "cube.tif", array)
    said = run("attend", "warp", cube, "--at", "15,15", "--size", 4, "-o", tmp_path / "v.tif")
    assert said.code == 3
    assert "nothing in the view has data" in said.err
    assert not (tmp_path / "v.tif").exists()


def test_classes_are_not_blended(tmp_path: Path, rng: np.random.Generator) -> None:
    header = {"file type": "ENVI Classification", "classes": "3", "class names": "{a, b, c}"}
    array = rng.integers(0, 3, (1, 9, 9)).astype(np.uint8)
    cube = cubes.write_envi(tmp_path / "classes", array, items=header)
    said = run("attend", "warp", cube, "-o", tmp_path / "v.tif")
    assert (said.code, said.err.count("\n")) == (3, 1)
    assert "cannot be blended" in said.err


def test_rotated_places_survive_envi(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = made_cube(tmp_path / "cube.tif", noise(rng, 2, 20, 20, dtype=np.float32))
    done("attend", "warp", cube, "--rotate", 12, "-o", tmp_path / "v.img", "-q")
    done("attend", "warp", cube, "--rotate", 12, "-o", tmp_path / "v.tif", "-q")
    assert np.allclose(transform(tmp_path / "v.img"), transform(tmp_path / "v.tif"), atol=1e-6)
    with rasterio.open(tmp_path / "v.img") as dataset:
        assert dataset.crs.to_epsg() == 32633
