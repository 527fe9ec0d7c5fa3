"""Cubes being written: names, blocks, options, failures and full disks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cubes
import numpy as np
import pytest

from hsitool.cube import CubeInfo, Tile
from hsitool.errors import DataError, UsageError
from hsitool.storage.layout import Layout
from hsitool.storage.writers import OutputOptions, create_cube, output_paths

ARRAY = cubes.spectra(3, 37, 45)
INFO = CubeInfo(3, 37, 45, np.dtype("float32"), wavelength_nm=(400.0, 500.0, 600.0))
LIKE = Layout("GeoTIFF", "band", 8, 45)
PACKED = OutputOptions(compress="deflate", overwrite=True)
PLAIN = OutputOptions(overwrite=True)


def write(
    path: Path, options: OutputOptions | None = None, like: Layout = LIKE, **changes: Any
) -> None:
    info = INFO.replace(**changes)
    with create_cube(path, info, like, options) as out:
        rows = 16
        for row in range(0, info.rows, rows):
            tile = Tile(row, 0, min(rows, info.rows - row), info.columns)
            block = out.block(tile)
            assert block.shape == (info.bands, tile.height, tile.width)
            block[:] = ARRAY[:, row : row + tile.height].astype(info.dtype)
            out.write(tile, block)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.tif", OutputOptions(), ["a.tif"]),
        ("a", OutputOptions(), ["a"]),
        ("a.img", OutputOptions(), ["a.img", "a.hdr"]),
        ("a.hdr", OutputOptions(), ["a.img", "a.hdr"]),
        ("a.BSQ", OutputOptions(), ["a.BSQ", "a.hdr"]),
        ("a.1_x", OutputOptions(format="envi"), ["a.1_x", "a.1_x.hdr"]),
        ("a", OutputOptions(format="envi"), ["a", "a.hdr"]),
        ("a.dat", OutputOptions(format="gtiff"), ["a.dat"]),
    ],
)
def test_names_of_outputs(
    tmp_path: Path, name: str, options: OutputOptions, expected: list[str]
) -> None:
    assert [p.name for p in output_paths(tmp_path / name, options)] == expected
    write(tmp_path / name, options)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(expected)
    with cubes.open_quietly(tmp_path / expected[0]) as dataset:
        np.testing.assert_array_equal(dataset.read(), ARRAY)


@pytest.mark.parametrize("interleave", ["band", "line", "pixel"])
@pytest.mark.parametrize("compress", [None, "zstd", "deflate", "lzw"])
@pytest.mark.parametrize("tile", [45, 16])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "complex64"])
def test_geotiffs_in_every_layout(
    tmp_path: Path, interleave: Any, compress: Any, tile: int, dtype: str
) -> None:
    like = Layout("ENVI", interleave, 16, tile)
    path = tmp_path / "a.tif"
    write(path, OutputOptions(compress=compress, threads=2), like, dtype=np.dtype(dtype))
    with cubes.open_quietly(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), ARRAY.astype(dtype))
        order = "pixel" if interleave == "pixel" else "band"
        assert dataset.interleaving.value.lower() == order
        assert dataset.profile["tiled"] == (tile == 16)
        assert dataset.profile.get("compress", None) == compress


@pytest.mark.parametrize("interleave", ["band", "line", "pixel"])
def test_envi_in_every_order(tmp_path: Path, interleave: Any) -> None:
    write(tmp_path / "a.img", None, Layout("ENVI", interleave, 8, 45))
    order = {"band": "bsq", "line": "bil", "pixel": "bip"}[interleave]
    pixels = ARRAY.transpose(cubes.ENVI_AXES[order]).tobytes()
    assert (tmp_path / "a.img").read_bytes() == pixels
    assert f"\ninterleave = {order}\n" in (tmp_path / "a.hdr").read_text()


def test_existing_files_are_refused_or_replaced_with_their_sidecars(tmp_path: Path) -> None:
    for name, sidecars in (
        ("a.tif", ["a.tif.aux.xml", "a.tif.ovr", "a.tif.hdr"]),
        ("b.img", ["b.img.aux.xml", "b.img.hdr"]),
    ):
        folder = tmp_path / name[0]
        folder.mkdir()
        write(folder / name)
        for sidecar in sidecars:
            (folder / sidecar).write_text("stale")
        with pytest.raises(UsageError, match="exists: choose another name or add --overwrite"):
            write(folder / name)
        before = len(list(folder.iterdir()))
        write(folder / name, PLAIN)
        assert len(list(folder.iterdir())) == before - len(sidecars)
    (tmp_path / "c.hdr").touch()
    with pytest.raises(UsageError, match=r"c\.hdr exists"):
        write(tmp_path / "c.img")


def test_the_header_of_a_pair_goes_first_and_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.img")
    moves: list[tuple[str, str]] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        moves.append((self.name, Path(target).name))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write(tmp_path / "a.img", PLAIN)
    assert moves == [("a.hdr", "stale0"), ("pixels", "a.img"), ("header", "a.hdr")]


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "a.tif").symlink_to(tmp_path / "far" / "b.tif")
    write(tmp_path / "a.tif")
    assert (tmp_path / "a.tif").is_symlink()
    assert [p.name for p in (tmp_path / "far").iterdir()] == ["b.tif"]


@pytest.mark.parametrize("name", ["a.tif", "z.tif", "a.img"])
def test_an_error_leaves_the_former_cube(tmp_path: Path, name: str) -> None:
    options = PACKED if name == "z.tif" else PLAIN
    write(tmp_path / name, options)
    former = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with (
        pytest.raises(ZeroDivisionError),
        create_cube(tmp_path / name, INFO, LIKE, options) as out,
    ):
        out.write(Tile(0, 0, 1, 45), out.block(Tile(0, 0, 1, 45)))
        raise ZeroDivisionError
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == former


def test_an_input_can_be_its_own_output(tmp_path: Path, copy: Callable[..., CubeInfo]) -> None:
    path = cubes.write_geotiff(tmp_path / "a.tif", ARRAY)
    copy(path, path, overwrite=True)
    with cubes.open_quietly(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), ARRAY)


@pytest.mark.parametrize("suffix", ["tif", "img"])
def test_plain_outputs_that_cannot_fit_are_refused_first(small_disk: Path, suffix: str) -> None:
    path = small_disk / f"a.{suffix}"
    write(path)
    former = {p.name: p.read_bytes() for p in small_disk.iterdir()}
    with pytest.raises(DataError, match=r"no space left on the disk: .* needed"):
        create_cube(path, INFO.replace(rows=37_000), LIKE, PLAIN)
    assert {p.name: p.read_bytes() for p in small_disk.iterdir()} == former


@pytest.mark.parametrize("suffix", ["tif", "img"])
def test_a_disk_that_fills_up_under_plain_outputs(small_disk: Path, suffix: str) -> None:
    path = small_disk / f"a.{suffix}"
    write(path)
    former = {p.name: p.read_bytes() for p in small_disk.iterdir()}
    info = INFO.replace(rows=3_700)
    with (
        pytest.raises(DataError, match="no space left on the disk: nothing was written"),
        create_cube(path, info, LIKE, PLAIN) as out,
    ):
        (small_disk / "other").write_bytes(bytes(1_500_000))
        out.write(info.whole, out.block(info.whole))
    (small_disk / "other").unlink()
    assert {p.name: p.read_bytes() for p in small_disk.iterdir()} == former


@pytest.mark.parametrize("rows", [4_000, 40_000])
@pytest.mark.parametrize("interleave", ["band", "pixel"])
def test_a_disk_that_fills_up_under_packed_outputs(
    small_disk: Path, rng: np.random.Generator, rows: int, interleave: Any
) -> None:
    """Also where only the last flush fails, of which GDAL tells nobody."""
    path = small_disk / "a.tif"
    write(path, PACKED)
    former = {p.name: p.read_bytes() for p in small_disk.iterdir()}
    (small_disk / "other").write_bytes(bytes(1_500_000 if rows > 10_000 else 2_400_000))
    info = INFO.replace(rows=rows)
    like = Layout("GeoTIFF", interleave, 64, 45)
    with (
        pytest.raises(DataError, match="no space left on the disk: nothing was written"),
        create_cube(path, info, like, PACKED) as out,
    ):
        for row in range(0, rows, 500):
            tile = Tile(row, 0, 500, 45)
            block = out.block(tile)
            block[:] = rng.standard_normal(block.shape)
            out.write(tile, block)
    (small_disk / "other").unlink()
    assert {p.name: p.read_bytes() for p in small_disk.iterdir()} == former


@pytest.mark.parametrize(
    ("name", "options", "changes", "message"),
    [
        ("a.img", OutputOptions(compress="zstd"), {}, "go with GeoTIFF"),
        ("a.img", OutputOptions(creation={"A": "B"}), {}, "go with GeoTIFF"),
        ("a.img", OutputOptions(), {"dtype": np.dtype("int8")}, "ENVI has no data type for int8"),
        (
            "a.tif",
            OutputOptions(creation={"NBITS": "7"}),
            {"dtype": np.dtype("uint8")},
            "leave some out",
        ),
        ("a.tif", OutputOptions(creation={"COMPRESS": "NONSENSE"}), {}, "NONSENSE"),
        ("a.tif", OutputOptions(creation={"NONE_SUCH": "1"}), {}, "option NONE_SUCH"),
        ("a.tif", OutputOptions(creation={"TILED": "YES", "BLOCKXSIZE": "17"}), {}, "GDAL refuses"),
        ("a.tif", OutputOptions(), {"dtype": np.dtype("float16")}, "float16"),
    ],
)
def test_what_a_format_cannot_hold(
    tmp_path: Path, name: str, options: OutputOptions, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as told:
        create_cube(tmp_path / name, INFO.replace(**changes), LIKE, options)
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "creation",
    [
        {"compress": "lzw", "predictor": "2"},
        {"TILED": "YES", "BLOCKXSIZE": "32", "BLOCKYSIZE": "16"},
        {"BLOCKYSIZE": "5"},
        {"INTERLEAVE": "PIXEL"},
        {"BIGTIFF": "YES"},
        {"ENDIANNESS": "BIG"},
    ],
)
def test_creation_options(tmp_path: Path, creation: dict[str, str]) -> None:
    path = tmp_path / "a.tif"
    write(path, OutputOptions(creation=creation), dtype=np.dtype("int16"))
    with cubes.open_quietly(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), ARRAY.astype("int16"))
        height, width = dataset.block_shapes[0]
        assert height == int(creation.get("BLOCKYSIZE", height))
        assert width == int(creation.get("BLOCKXSIZE", width))
        assert dataset.compression is None or dataset.compression.value.lower() == "lzw"


def test_large_outputs_get_large_offsets(tmp_path: Path) -> None:
    """Whole tiles at the border count: the pixels alone would fit a classic TIFF."""
    info = CubeInfo(1200, 520, 520, np.dtype("float32"))
    path = tmp_path / "a.tif"
    last = Tile(519, 0, 1, 520)
    with create_cube(path, info, Layout("GeoTIFF", "band", 512, 512)) as out:
        block = out.block(last)
        block[:] = np.arange(520)
        out.write(last, block)
    with path.open("rb") as file:
        assert file.read(4) == b"II+\0"
    assert path.stat().st_size > 1200 * 1024 * 1024 * 4
    with cubes.open_quietly(path) as dataset:
        row = dataset.read(1200, window=((519, 520), (0, 520)))
        np.testing.assert_array_equal(row[0], np.arange(520))


def test_palettes_can_be_copied(tmp_path: Path, copy: Callable[..., CubeInfo]) -> None:
    array = cubes.spectra(1, 4, 5, "uint8")
    path = cubes.write_geotiff(tmp_path / "a.tif", array)
    with cubes.open_quietly(path, "r+") as dataset:
        dataset.write_colormap(1, {k: (k, 0, 0, 255) for k in range(256)})
    copy(path, tmp_path / "b.tif")
    with cubes.open_quietly(tmp_path / "b.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), array)
