"""Images of any kind become the same grey levels; what cannot serve is one clear line."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.storage import images
from hsitool.storage.images import list_images, read_grey, read_header, stretched

Grey = NDArray[np.uint8]


@pytest.fixture
def picture() -> Grey:
    """A smooth picture (60, 90), different in all corners."""
    v, u = np.mgrid[:60, :90]
    return (20 + 1.5 * u + v + 20 * np.sin(u / 9) * np.cos(v / 7)).astype(np.uint8)


def saved(path: Path, samples: NDArray[np.generic]) -> Path:
    assert cv2.imwrite(str(path), samples)
    return path


def read(path: Path) -> Grey:
    return read_grey(read_header(path))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".pgm", ".tif"])
def test_lossless_formats_give_the_samples(suffix: str, picture: Grey, tmp_path: Path) -> None:
    path = saved(tmp_path / f"a{suffix}", picture)
    assert read_header(path).size == (90, 60)
    np.testing.assert_array_equal(read(path), picture)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_colour_becomes_grey(suffix: str, picture: Grey, tmp_path: Path) -> None:
    colour = np.stack([picture // 2, picture, 255 - picture], axis=-1)
    grey = colour @ [0.114, 0.587, 0.299]
    found = read(saved(tmp_path / f"a{suffix}", colour))
    assert found.dtype == np.uint8
    assert np.abs(found - grey).mean() < 2.5


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("gain", "offset"), [(16, 0), (1, 900), (250, 100)])
def test_16_bits_are_stretched(
    suffix: str, gain: int, offset: int, picture: Grey, tmp_path: Path
) -> None:
    deep = picture.astype(np.uint16) * gain + offset
    deep[0, 0] = 65535  # one hot pixel
    found = read(saved(tmp_path / f"a{suffix}", deep)).astype(float)
    low, high = np.percentile(picture, (2, 98))
    expected = np.clip((picture - low) / (high - low) * 255, 0, 255)
    assert np.abs(found - expected)[1:].max() < 4


def test_16_bit_colour(picture: Grey, tmp_path: Path) -> None:
    deep = np.repeat(picture.astype(np.uint16)[..., None] * 200, 3, axis=-1)
    for suffix in (".png", ".tif"):
        found = read(saved(tmp_path / f"a{suffix}", deep))
        assert np.corrcoef(found.ravel(), picture.ravel())[0, 1] > 0.995


def test_floating_point_with_gaps(picture: Grey, tmp_path: Path) -> None:
    samples = picture.astype(np.float32) / 255
    samples[5, 5:9] = np.nan, np.inf, -np.inf, 1e38
    found = read(saved(tmp_path / "a.tif", samples))
    assert np.corrcoef(found[10:].ravel(), picture[10:].ravel())[0, 1] > 0.995
    assert abs(int(found[5, 5]) - np.median(found)) < 3


def test_flat_and_empty_samples_are_stretched_without_complaint() -> None:
    assert (stretched(np.full((4, 4), 7, np.uint16)) == 0).all()
    assert (stretched(np.full((4, 4), np.nan)) == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "order"), [(".jpg", "<"), (".jpg", ">"), (".tif", "<")])
def test_exif_orientation_is_applied(
    orientation: int, suffix: str, order: str, picture: Grey, tmp_path: Path
) -> None:
    path = saved(tmp_path / f"a{suffix}", picture)
    content = path.read_bytes()
    if suffix == ".jpg":
        head = b"II*\0" if order == "<" else b"MM\0*"
        tiff = head + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
        exif = b"Exif\0\0" + tiff
        path.write_bytes(
            content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]
        )
    else:
        write_tiff(path, picture, orientation)
    stored = picture if suffix == ".tif" else decoded_without_exif(content)
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1],
        5: stored.T, 6: stored.T[:, ::-1], 7: stored.T[::-1, ::-1], 8: stored.T[::-1],
    }[orientation]  # fmt: skip
    header = read_header(path)
    assert header.orientation == orientation
    assert header.size == upright.shape[::-1]
    np.testing.assert_array_equal(read_grey(header), upright)


def decoded_without_exif(content: bytes) -> Grey:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    return np.asarray(found, np.uint8)


def write_tiff(path: Path, picture: Grey, orientation: int) -> None:
    """A plain TIFF of one strip."""
    rows, columns = picture.shape
    tags = {256: columns, 257: rows, 258: 8, 259: 1, 262: 1, 273: 8, 274: orientation}
    tags |= {277: 1, 278: rows, 279: picture.size}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    end = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + picture.size) + picture.tobytes() + end)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_truncated_images(
    suffix: str, share: float, rng: np.random.Generator, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = saved(tmp_path / f"a{suffix}", rng.integers(0, 255, (60, 90), np.uint8))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=f"a{suffix}") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "cut_off"),
    [
        (b"\xff\xd8..\xff\xda..\xff\xd9", False),
        (b"\xff\xd8..\xff\xda..\xff\xd9 what a camera adds", False),
        (b"\xff\xd8..\xff\xda..", True),
        (b"\xff\xd8 thumbnail: \xff\xda..\xff\xd9 image: \xff\xda..", True),
        (b"\x89PNG..", True),
        (b"\x89PNG..IEND....", False),
        (b"BM..", False),
    ],
)
def test_a_missing_end_is_noticed(content: bytes, cut_off: bool) -> None:
    assert images._is_cut_off(content) is cut_off


@pytest.mark.parametrize("place", [0.3, 0.7])
def test_damaged_pngs_are_said_in_one_line(
    place: float, picture: Grey, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "a.png", picture)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged"):
        read(path)
    assert capfd.readouterr().err == ""


def test_what_is_no_image(tmp_path: Path) -> None:
    text = tmp_path / "a.jpg"
    text.write_text("no image")
    for path, said in (
        (text, "cannot be opened"),
        (tmp_path / "b.jpg", "No such"),
        (tmp_path, "plain"),
    ):
        with pytest.raises(DataError, match=said):
            read_header(path)


def test_images_that_are_too_large(
    picture: Grey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.png", picture)
    monkeypatch.setattr(images, "MOST_PIXELS", 5399)
    with pytest.raises(DataError, match="90x60 pixels are more"):
        read_header(path)
    monkeypatch.setattr(images, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="GB are more"):
        read_header(path)


def test_cubes_are_refused(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="82 bands of int16: give a grey or colour image"):
        read_header(sample)
    options = {"driver": "GTiff", "width": 8, "height": 8, "count": 1, "dtype": "complex64"}
    with rasterio.open(tmp_path / "c.tif", "w", transform=rasterio.Affine.scale(2), **options):
        pass
    with pytest.raises(DataError, match="complex64"):
        read_header(tmp_path / "c.tif")


def test_folders_are_listed_in_natural_order(tmp_path: Path) -> None:
    for name in ("b10.png", "b9.JPG", "a.txt", ".png", "b2.tif"):
        (tmp_path / name).touch()
    named = tmp_path / "a.txt"
    found = list_images([named, tmp_path, named])
    assert [path.name for path in found] == ["a.txt", "b2.tif", "b9.JPG", "b10.png"]


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images in this folder"):
        list_images([tmp_path])
