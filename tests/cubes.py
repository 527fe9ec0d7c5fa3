"""Made cubes for tests and benchmarks, written without the code under test.

Arrays are (band, row, column). GeoTIFFs are written by rasterio, ENVI files byte by byte.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import DTypeLike, NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine
from rasterio.windows import Window

Cube = NDArray[Any]
Tags = Mapping[str, Mapping[str, str]]
"""Text items by namespace ("" is the default one), then by key."""

ENVI_TYPES = {
    "uint8": 1,
    "int16": 2,
    "int32": 3,
    "float32": 4,
    "float64": 5,
    "complex64": 6,
    "complex128": 9,
    "uint16": 12,
    "uint32": 13,
    "int64": 14,
    "uint64": 15,
}
ENVI_AXES = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
"""How (band, row, column) is turned to reach the order of the file."""

LARGE_LAYOUTS = (
    "tif-pixel-strip",
    "tif-band-strip",
    "tif-band-tile256-deflate",
    "envi-bsq",
    "envi-bil",
    "envi-bip",
)


@dataclass(frozen=True)
class Items:
    """What a made cube says besides its pixels; None and empty mean that it does not say it.

    `transform` is (a, b, c, d, e, f) as in `affine`; `gcps` are (row, column, x, y, z);
    `header` are further ENVI header items, by key.
    """

    crs: str | None = None
    transform: Sequence[float] | None = None
    gcps: Sequence[tuple[float, float, float, float, float]] = ()
    gcps_crs: str | None = None
    rpcs: Mapping[str, str] = field(default_factory=dict)
    nodata: float | None = None
    scales: Sequence[float] | None = None
    offsets: Sequence[float] | None = None
    names: Sequence[str] | None = None
    units: Sequence[str] | None = None
    wavelength_nm: Sequence[float] | None = None
    fwhm_nm: Sequence[float] | None = None
    bbl: Sequence[int] | None = None
    colors: Sequence[str] | None = None
    tags: Tags = field(default_factory=dict)
    band_tags: Sequence[Tags] = ()
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """A file that was written, the pixels in it (as stored), and what it says."""

    path: Path
    array: Cube
    items: Items


@contextmanager
def open_quietly(path: Path | str, mode: str = "r", **options: Any) -> Iterator[Any]:
    """`rasterio.open` as a context, without the warning that a cube has no georeference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, mode, **options) as dataset:
            yield dataset


# Pixels and wavelengths


def wavelengths(bands: int, first: float = 400.0, last: float = 2500.0) -> list[float]:
    """Band centres in nm from `first` to `last`; the step grows from every band to the next."""
    t = np.linspace(0.0, 1.0, bands)
    return [float(w) for w in np.round(first + (last - first) * (0.6 * t + 0.4 * t**2), 4)]


def spectra(
    bands: int,
    rows: int,
    columns: int,
    dtype: DTypeLike = "float32",
    seed: int = 0,
    noise: float = 0.005,
) -> Cube:
    """Smooth spectra, mixed smoothly over the scene, plus noise: (band, row, column).

    Floats are reflectances of about 0.1 to 0.8 with noise of standard deviation `noise`;
    integers are those times 10000 (8 bits: times 200); a complex value has half of it as its
    imaginary part.
    """
    rng = np.random.default_rng(seed)
    values = np.einsum("mb,mrc->brc", _materials(bands), _fractions(rows, columns, rng))
    values += np.float32(noise) * rng.standard_normal(values.shape, dtype=np.float32)
    return _stored(values, np.dtype(dtype))


def _materials(bands: int) -> NDArray[np.float32]:
    """Three smooth spectra (material, band)."""
    position = np.linspace(0.0, 1.0, bands)
    centre, width = np.array([[0.2, 0.5, 0.85], [0.15, 0.3, 0.2]])[:, :, None]
    curves = 0.1 + 0.6 * np.exp(-(((position - centre) / width) ** 2))
    return np.asarray(curves, dtype=np.float32)


def _fractions(rows: int, columns: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth shares of three materials (material, row, column) that sum to 1."""
    row = np.arange(rows)[:, None]
    column = np.arange(columns)[None, :]
    waves = [np.cos(y * row + x * column + p) for y, x, p in rng.uniform(0.02, 0.2, (3, 3))]
    shares = np.exp(2.0 * np.stack(waves))
    return np.asarray(shares / shares.sum(axis=0), dtype=np.float32)


def _stored(values: NDArray[np.float32], dtype: np.dtype[Any]) -> Cube:
    """Reflectances in the type and scale of a file."""
    if dtype.kind in "iu":
        return np.round(values * (200 if dtype.itemsize == 1 else 10_000)).clip(0).astype(dtype)
    if dtype.kind == "c":
        return np.asarray(values * (1 + 0.5j), dtype=dtype)
    return values.astype(dtype)


# GeoTIFF


def write_geotiff(
    path: Path,
    array: Cube,
    *,
    interleave: str = "pixel",
    blocks: tuple[str, int] | None = None,
    compress: str | None = None,
    predictor: int | None = None,
    bigtiff: str | None = None,
    dialects: Sequence[str] = ("band", "imagery"),
    creation: Mapping[str, Any] | None = None,
    **items: Any,
) -> Path:
    """Write a GeoTIFF with rasterio, metadata before pixels, and return its path.

    `interleave` is "band" or "pixel"; `blocks` is ("strip", rows), ("tile", size) or None for
    GDAL's own choice; `dialects` says where wavelengths, FWHM and bad bands go: "band" (items
    `wavelength`, `wavelength_units`, `fwhm`, `bbl`), "imagery" (`IMAGERY`, in micrometres),
    "envi" (lists in the dataset's `ENVI`); `creation` are further creation options;
    `items` are the fields of `Items`.
    """
    described = Items(**items)
    options = {"interleave": interleave, "photometric": "MINISBLACK", **_block_options(blocks)}
    given = {"compress": compress, "predictor": predictor, "bigtiff": bigtiff}
    options |= {key: value for key, value in given.items() if value is not None}
    profile = _profile(array.shape, array.dtype, described) | options | dict(creation or {})
    with open_quietly(path, "w", **profile) as dataset:
        _describe(dataset, described, dialects)
        dataset.write(array)
    return path


def block_offsets(path: Path) -> NDArray[np.int64]:
    """File offsets of a GeoTIFF's blocks, (band, block row, block column); one band if pixel."""
    with open_quietly(path) as dataset:
        height, width = dataset.block_shapes[0]
        bands = 1 if dataset.profile["interleave"] == "pixel" else dataset.count
        shape = (bands, -(-dataset.height // height), -(-dataset.width // width))
        offsets = np.zeros(shape, dtype=np.int64)
        for band, y, x in np.ndindex(shape):
            offsets[band, y, x] = dataset.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", band + 1)
    return offsets


def _profile(shape: Sequence[int], dtype: DTypeLike, items: Items) -> dict[str, Any]:
    bands, rows, columns = shape
    profile = {
        "driver": "GTiff",
        "count": bands,
        "height": rows,
        "width": columns,
        "dtype": np.dtype(dtype).name,
        "nodata": items.nodata,
        "crs": items.crs,
        "transform": None if items.transform is None else Affine(*items.transform),
    }
    return {key: value for key, value in profile.items() if value is not None}


def _block_options(blocks: tuple[str, int] | None) -> dict[str, Any]:
    if blocks is None:
        return {}
    kind, size = blocks
    if kind == "tile":
        return {"tiled": True, "blockxsize": size, "blockysize": size}
    return {"tiled": False, "blockysize": size}


def _describe(dataset: Any, items: Items, dialects: Sequence[str]) -> None:
    """Everything that a GeoTIFF says besides its pixels and what its profile holds."""
    for name in ("scales", "offsets", "units"):
        if getattr(items, name) is not None:
            setattr(dataset, name, tuple(getattr(items, name)))
    if items.names is not None:
        dataset.descriptions = tuple(items.names)
    if items.colors is not None:
        dataset.colorinterp = [ColorInterp[color] for color in items.colors]
    if items.gcps:
        dataset.gcps = (_control_points(items), CRS.from_string(items.gcps_crs or ""))
    if items.rpcs:
        dataset.update_tags(ns="RPC", **items.rpcs)
    _tag(dataset, 0, items.tags)
    _tag(dataset, 0, _dataset_spectral_tags(items, dialects))
    for band in range(dataset.count):
        _tag(dataset, band + 1, _band_spectral_tags(items, band, dialects))
        _tag(dataset, band + 1, items.band_tags[band] if items.band_tags else {})


def _control_points(items: Items) -> list[GroundControlPoint]:
    return [GroundControlPoint(row=r, col=c, x=x, y=y, z=z) for r, c, x, y, z in items.gcps]


def _tag(dataset: Any, band: int, tags: Tags) -> None:
    """Add items to a band, or to the dataset if `band` is 0."""
    for namespace, entries in tags.items():
        if entries:
            dataset.update_tags(band, ns=namespace or None, **entries)


def _band_spectral_tags(items: Items, band: int, dialects: Sequence[str]) -> Tags:
    plain: dict[str, str] = {}
    imagery: dict[str, str] = {}
    if items.wavelength_nm is not None:
        plain |= {"wavelength": repr(items.wavelength_nm[band]), "wavelength_units": "Nanometers"}
        imagery["CENTRAL_WAVELENGTH_UM"] = f"{items.wavelength_nm[band] / 1000:.12g}"
    if items.fwhm_nm is not None:
        plain["fwhm"] = repr(items.fwhm_nm[band])
        imagery["FWHM_UM"] = f"{items.fwhm_nm[band] / 1000:.12g}"
    if items.bbl is not None:
        plain["bbl"] = str(items.bbl[band])
    by_dialect = {"band": ("", plain), "imagery": ("IMAGERY", imagery)}
    return dict(by_dialect[dialect] for dialect in dialects if dialect in by_dialect)


def _dataset_spectral_tags(items: Items, dialects: Sequence[str]) -> Tags:
    return {"ENVI": _spectral_header(items)} if "envi" in dialects else {}


def _spectral_header(items: Items) -> dict[str, str]:
    """Wavelengths, FWHM and bad bands as ENVI lists."""
    header: dict[str, str] = {}
    if items.wavelength_nm is not None:
        header |= {"wavelength units": "Nanometers", "wavelength": listed(items.wavelength_nm)}
    if items.fwhm_nm is not None:
        header["fwhm"] = listed(items.fwhm_nm)
    if items.bbl is not None:
        header["bbl"] = listed(items.bbl)
    return header


# ENVI


def listed(values: Sequence[object], per_line: int = 8) -> str:
    """Values as an ENVI list, `{a, b, c}`, broken into lines."""
    texts = [str(value) for value in values]
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "{" + ",\n ".join(lines) + "}"


def write_envi(
    stem: Path,
    array: Cube,
    *,
    interleave: str = "bsq",
    byte_order: int = 0,
    header_offset: int = 0,
    items: Mapping[str, str] | Sequence[tuple[str, str] | str] = (),
    without: Sequence[str] = (),
    extension: str = ".dat",
    header_style: str = "x.hdr",
    encoding: str = "utf-8",
) -> Path:
    """Write raw pixels and an ENVI header without GDAL, and return the path of the pixels.

    `items` follow the required header items in their own order: (key, value) pairs, or whole
    lines such as comments; an item replaces the required one of the same key, and `without`
    leaves required ones out. `header_style` is "x.hdr" or "x.dat.hdr"; the bytes before
    `header_offset` are 0xAA.
    """
    path = stem.with_name(stem.name + extension)
    pixels = array.transpose(ENVI_AXES[interleave])
    ordered = pixels.astype(array.dtype.newbyteorder(">" if byte_order else "<"))
    path.write_bytes(b"\xaa" * header_offset + ordered.tobytes())
    required = envi_required(array.shape, array.dtype, interleave, byte_order, header_offset)
    further = list(items.items()) if isinstance(items, Mapping) else list(items)
    dropped = {*without, *(item[0] for item in further if not isinstance(item, str))}
    kept = [item for item in required.items() if item[0] not in dropped]
    text = envi_header([*kept, *further])
    envi_header_path(stem, extension, header_style).write_bytes(text.encode(encoding))
    return path


def envi_required(
    shape: Sequence[int], dtype: DTypeLike, interleave: str, byte_order: int, header_offset: int
) -> dict[str, str]:
    """The header items that say where the pixels lie."""
    bands, rows, columns = shape
    return {
        "samples": str(columns),
        "lines": str(rows),
        "bands": str(bands),
        "header offset": str(header_offset),
        "file type": "ENVI Standard",
        "data type": str(ENVI_TYPES[np.dtype(dtype).name]),
        "interleave": interleave,
        "byte order": str(byte_order),
    }


def envi_header(items: Sequence[tuple[str, str] | str]) -> str:
    """The text of a header: `key = value` for each pair, other lines as they are."""
    lines = [item if isinstance(item, str) else f"{item[0]} = {item[1]}" for item in items]
    return "\n".join(["ENVI", *lines]) + "\n"


def envi_header_path(stem: Path, extension: str = ".dat", header_style: str = "x.hdr") -> Path:
    """Where the header of a data file goes: `x.hdr`, or `x.dat.hdr`."""
    return stem.with_name(stem.name + (extension if header_style == "x.dat.hdr" else "") + ".hdr")


# Cubes that carry everything at once

RICH_TRANSFORM = (18.5, 7.25, 412_000.125, 6.5, -21.75, 5_812_000.375)
"""Rotated and sheared, with unequal pixel sides."""

RICH_ROTATION = (30.0, 20.0, 25.0)
"""Pixel width and height in metres and rotation in degrees of the rich ENVI cube."""


def rich_items(bands: int) -> Items:
    """Every item that a GeoTIFF can carry beside a georeference, different in every band."""
    numbers = range(bands)
    return Items(
        rpcs=rich_rpcs(),
        nodata=-9999,
        scales=[0.0001 * (1 + band / 7) for band in numbers],
        offsets=[0.1 * band - 0.3 for band in numbers],
        names=[f"Bänd {band + 1}: é µ 波" for band in numbers],
        units=[("µW/cm²", "1/nm", "reflectance")[band % 3] for band in numbers],
        wavelength_nm=[400.123456789 + 5.0 * band + 0.37 * band**2 for band in numbers],
        fwhm_nm=[5.5 + 0.123456789 * band for band in numbers],
        bbl=[int(band != 2) for band in numbers],
        colors=[("undefined", "red", "green", "blue")[band % 4] for band in numbers],
        tags={
            "": {"AUTHOR": "Zoë 波", "NOTE": "a = b; <c> & 'd'\nsecond line"},
            "MISSION": {"flight": "7", "sensor type": "µ"},
        },
        band_tags=[{"": {"gain": f"{band}.5 é"}, "LAB": {"lamp": f"n°{band}"}} for band in numbers],
    )


def rich_rpcs() -> dict[str, str]:
    """Rational polynomial coefficients that are valid, though of no real camera."""
    offsets = ("LINE_OFF", "SAMP_OFF", "LAT_OFF", "LONG_OFF", "HEIGHT_OFF")
    scales = ("LINE_SCALE", "SAMP_SCALE", "LAT_SCALE", "LONG_SCALE", "HEIGHT_SCALE")
    terms = ("LINE_NUM", "LINE_DEN", "SAMP_NUM", "SAMP_DEN")
    rpcs = dict(zip(offsets, ("4.5", "5.5", "52.25", "13.5", "40"), strict=True))
    rpcs |= dict(zip(scales, ("4.5", "5.5", "0.125", "0.25", "500"), strict=True))
    for number, name in enumerate(terms):
        values = ["1", *(f"{(number + 1) * 0.001 * k:.12g}" for k in range(1, 20))]
        rpcs[f"{name}_COEFF"] = " ".join(values)
    return rpcs | {"ERR_BIAS": "0.5", "ERR_RAND": "0.25"}


def rich_gcps(rows: int, columns: int) -> list[tuple[float, float, float, float, float]]:
    """Points at the corners and in the middle, with heights: (row, column, x, y, z)."""
    places = [(0.0, 0.0), (0.0, columns), (rows, 0.0), (rows, columns), (rows / 2, columns / 2)]
    a, b, c, d, e, f = RICH_TRANSFORM
    return [
        (row, column, a * column + b * row + c, d * column + e * row + f, 30.5 + index)
        for index, (row, column) in enumerate(places)
    ]


def rich_pixels(bands: int, rows: int, columns: int, dtype: DTypeLike = "int16") -> Cube:
    """Spectra with nodata (-9999): one pixel wholly, and one value of another pixel."""
    array = spectra(bands, rows, columns, dtype, seed=7)
    array[:, 1, 2] = -9999
    array[bands // 2, 3, 4] = -9999
    return array


def rich_geotiff(
    path: Path,
    interleave: str = "pixel",
    *,
    reference: str = "transform",
    shape: tuple[int, int, int] = (7, 9, 11),
    **layout: Any,
) -> Made:
    """A GeoTIFF with everything that one can carry; `layout` goes on to `write_geotiff`.

    `reference` is "transform" (rotated and sheared) or "gcps", since a file cannot have both.
    """
    array = rich_pixels(*shape)
    items = rich_items(shape[0])
    if reference == "gcps":
        items = replace(items, gcps=rich_gcps(*shape[1:]), gcps_crs="EPSG:32633")
    else:
        items = replace(items, crs="EPSG:32633", transform=RICH_TRANSFORM)
    write_geotiff(path, array, interleave=interleave, **layout, **vars(items))
    return Made(path, array, items)


def rich_envi(
    stem: Path,
    interleave: str = "bil",
    *,
    reference: str = "map info",
    shape: tuple[int, int, int] = (7, 9, 11),
    **layout: Any,
) -> Made:
    """An ENVI cube with everything that a header can carry; `layout` goes on to `write_envi`.

    `reference` is "map info" (rotated) or "geo points". The result's `header` holds the items
    that are not ours to interpret, as they stand in the file. Beside "map info" GDAL ignores
    `rpc info`, and the brace in the first comment makes it miss the description.
    """
    array = rich_pixels(*shape)
    rpcs = {key: text for key, text in rich_rpcs().items() if not key.startswith("ERR")}
    items = replace(rich_items(shape[0]), rpcs=rpcs, header=RICH_HEADER)
    items = replace(items, units=None, colors=None, tags={}, band_tags=())
    if reference == "map info":
        items = replace(items, crs="EPSG:32633", transform=_rotated())
    else:
        items = replace(items, gcps=_geo_points(*shape[1:]), gcps_crs="EPSG:4326")
    lines = ["; a comment: with = and {braces", *_rich_header(items), "; the last line"]
    path = write_envi(stem, array, interleave=interleave, items=lines, **layout)
    return Made(path, array, items)


RICH_HEADER = {
    "sensor type": "Fenix µ-Spectral 波",
    "acquisition time": "2024-07-24T10:45:26.123Z",
    "processing formula": "{y = a*x + b, a=0.5,\n  b = -0.1; not a comment}",
    "my_key": "under_score",
    "my key": "with space",
    "time:stamp": "12:30",
    "é clé": "valeur = 5 µm",
    "z plot titles": "{Wavelength, Reflectance}",
    "default bands": "{5, 3, 1}",
    "smoothing factors": "{1.0, 2.0,\n 3.0,\n 4.0}",
}
"""Header items that a reader has to keep though it may not know them."""


def _rich_header(items: Items) -> list[tuple[str, str] | str]:
    """The items of a rich ENVI header, in order."""
    header = {"description": "{\n  A made cube: é µ 波,\n  gain=2, second = line}"}
    header |= {"band names": listed(items.names or (), 2), **_spectral_header(items)}
    header["data ignore value"] = str(items.nodata)
    header["data gain values"] = listed(items.scales or ())
    header["data offset values"] = listed(items.offsets or ())
    header |= _map_info(items) if items.transform else {"geo points": _geo_point_list(items)}
    header["rpc info"] = _rpc_info(items.rpcs)
    first, *rest = (header | dict(items.header)).items()
    return [first, "", "; a comment inside, key = value", *rest]


def _map_info(items: Items) -> dict[str, str]:
    width, height, degrees = RICH_ROTATION
    _, _, x, _, _, y = items.transform or ()
    place = f"1.0, 1.0, {x!r}, {y!r}, {width}, {height}"
    wkt = CRS.from_string(items.crs or "").to_wkt(version="WKT1_ESRI")
    return {
        "map info": f"{{UTM, {place}, 33, North, WGS-84, units=Meters, rotation={degrees}}}",
        "coordinate system string": f"{{{wkt}}}",
    }


def _rotated() -> tuple[float, ...]:
    """The transform of `RICH_ROTATION`: a north-up one whose axes turn anticlockwise."""
    width, height, degrees = RICH_ROTATION
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    *_, x, _, _, y = RICH_TRANSFORM
    return cos * width, sin * width, x, sin * height, -cos * height, y


def _geo_points(rows: int, columns: int) -> list[tuple[float, float, float, float, float]]:
    """Four corners in longitude and latitude, at the places where GDAL counts from 0."""
    places = [(0.0, 0.0), (0.0, columns), (rows, 0.0), (rows, columns)]
    return [(r, c, 13.5 + 0.0004 * c, 52.25 - 0.0003 * r, 0.0) for r, c in places]


def _geo_point_list(items: Items) -> str:
    """ENVI counts samples and lines from 1, and names latitude before longitude."""
    points = [(c + 1.0, r + 1.0, y, x) for r, c, x, y, _ in items.gcps]
    return listed([value for point in points for value in point], 4)


def _rpc_info(rpcs: Mapping[str, str]) -> str:
    """Offsets, scales, coefficients, and the tile offsets and flag that end an ENVI list."""
    values = [value for text in rpcs.values() for value in text.split()]
    return listed([*values, "0", "0", "1"], 5)


# Large cubes

BASE_ROWS = 64


def write_large(
    path: Path,
    layout: str,
    gigabytes: float,
    *,
    bands: int = 224,
    columns: int = 1024,
    dtype: DTypeLike = "float32",
    seed: int = 0,
    placed: bool = True,
) -> Path:
    """Stream a cube of about `gigabytes` (1e9 bytes of pixels) to `path` in bounded memory.

    `layout` is one of `LARGE_LAYOUTS`; an ENVI header goes beside `path` with the suffix `.hdr`.
    The scene repeats every 64 rows, in another brightness each time, so that it compresses like
    a real one; all layouts hold the same values. Wavelengths (400-2500 nm) have a different step
    at each band; nodata -9999 is declared, and does not occur. It lies on a map where `placed`.

    GeoTIFFs are BigTIFF made by GDAL, row window by row window, with GDAL's default strips. So
    `tif-pixel-strip` has its strips (1 row of 1024 columns) in row order. `tif-band-strip` and
    `tif-band-tile256-deflate` do not have each band in one piece: inside a window of 64 rows,
    or a row of tiles, the bands follow each other; then the next window begins.
    """
    row_bytes = bands * columns * np.dtype(dtype).itemsize
    shape = (bands, max(1, round(gigabytes * 1e9 / row_bytes)), columns)
    base = spectra(bands, BASE_ROWS, columns, dtype, seed)
    if layout.startswith("envi-"):
        _write_large_envi(path, base, shape, layout.removeprefix("envi-"))
    elif layout == "tif-band-tile256-deflate":
        _write_large_tiles(path, base, shape)
    else:
        _write_large_strips(path, base, shape, layout.split("-")[1])
    if not placed:
        _take_off_the_map(path)
    return path


def large_items(bands: int) -> Items:
    """What a large cube says besides its pixels."""
    centres = wavelengths(bands)
    steps = np.gradient(centres) if bands > 1 else np.array([10.0])
    return Items(
        crs="EPSG:32633",
        transform=(30.0, 0.0, 412_000.0, 0.0, -30.0, 5_812_000.0),
        nodata=-9999,
        wavelength_nm=centres,
        fwhm_nm=[round(1.1 * float(step), 4) for step in steps],
        bbl=[1] * bands,
    )


def _take_off_the_map(path: Path) -> None:
    """As a camera's cube is: without CRS and transform."""
    header = path.with_suffix(".hdr")
    if header.exists():
        lines = header.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("map info")]
        header.write_text("".join(kept), encoding="utf-8")
        return
    with open_quietly(path, "r+") as dataset:
        dataset.crs = CRS()
        dataset.transform = Affine.identity()


def _brightened(base: Cube, repetition: int, rows: int) -> Cube:
    """The first `rows` rows (of axis -2) of a base block, in the light of its repetition."""
    light = np.float32(1.0 + 0.1 * np.sin(0.7 * repetition))
    return np.multiply(base[..., :rows, :], light).astype(base.dtype, copy=False)


def _repetitions(rows: int) -> Iterator[tuple[int, int, int]]:
    """(repetition, first row, number of rows) for each base block of a scene."""
    for repetition, row in enumerate(range(0, rows, BASE_ROWS)):
        yield repetition, row, min(BASE_ROWS, rows - row)


def _write_large_envi(path: Path, base: Cube, shape: tuple[int, int, int], order: str) -> None:
    bands, rows, columns = shape
    axes = ENVI_AXES[order]
    _write_large_header(path, base.dtype, shape, order)
    with path.open("wb") as file:
        file.truncate(bands * rows * columns * base.itemsize)
        for repetition, row, count in _repetitions(rows):
            block = _brightened(base, repetition, count).transpose(axes)
            pieces = block if order == "bsq" else block[None]
            for band, piece in enumerate(pieces):
                place = (band * rows + row) * columns if order == "bsq" else row * columns * bands
                _write_at(file.fileno(), np.ascontiguousarray(piece), place * base.itemsize)


def _write_at(file: int, piece: Cube, offset: int) -> None:
    """`os.pwrite` of a whole array: one call may write less than it was given."""
    data = memoryview(piece.data).cast("B")
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], offset + done)


def _write_large_header(
    path: Path, dtype: DTypeLike, shape: tuple[int, int, int], order: str
) -> None:
    items = large_items(shape[0])
    a, _, x, _, e, y = items.transform or ()
    place = f"{{UTM, 1, 1, {x}, {y}, {a}, {-e}, 33, North, WGS-84, units=Meters}}"
    header = envi_required(shape, dtype, order, 0, 0) | _spectral_header(items)
    header |= {"data ignore value": "-9999", "map info": place}
    path.with_suffix(".hdr").write_text(envi_header(list(header.items())), encoding="utf-8")


def _write_large_strips(
    path: Path, base: Cube, shape: tuple[int, int, int], interleave: str
) -> None:
    with _large_geotiff(path, base.dtype, shape, {"interleave": interleave}) as dataset:
        for repetition, row, count in _repetitions(shape[1]):
            window = Window(0, row, shape[2], count)
            dataset.write(_brightened(base, repetition, count), window=window)


def _write_large_tiles(path: Path, base: Cube, shape: tuple[int, int, int]) -> None:
    layout = {"interleave": "band", "compress": "deflate", "zlevel": 1, "num_threads": "all_cpus"}
    layout |= _block_options(("tile", 256))
    bands, rows, columns = shape
    pieces = list(_repetitions(rows))
    with _large_geotiff(path, base.dtype, shape, layout) as dataset:
        for first in range(0, len(pieces), 256 // BASE_ROWS):
            row_of_tiles = pieces[first : first + 256 // BASE_ROWS]
            for band in range(bands):
                parts = [_brightened(base[band], k, count) for k, _, count in row_of_tiles]
                plane = np.concatenate(parts)
                window = Window(0, row_of_tiles[0][1], columns, len(plane))
                dataset.write(plane, band + 1, window=window)


@contextmanager
def _large_geotiff(
    path: Path, dtype: DTypeLike, shape: tuple[int, int, int], layout: Mapping[str, Any]
) -> Iterator[Any]:
    """A described BigTIFF to write to, with a small block cache."""
    items = large_items(shape[0])
    profile = _profile(shape, dtype, items) | {"bigtiff": "YES", "photometric": "MINISBLACK"}
    with (
        rasterio.Env(GDAL_CACHEMAX=64),
        open_quietly(path, "w", **profile, **layout) as dataset,
    ):
        _describe(dataset, items, ("band", "imagery"))
        yield dataset
