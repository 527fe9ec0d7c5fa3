"""Wavelengths, FWHM and good-band flags from the texts in which files give them.

Sources are tried in a fixed order, from the most to the least precise; numbers are converted to
nanometres in decimal arithmetic, so that a text in micrometres loses no digit.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path

from hsitool.cube import CubeInfo, Tags
from hsitool.errors import DataError, HsitoolWarning, UsageError
from hsitool.storage.envi_header import list_of, read_header

NM_PER_UNIT = {
    **dict.fromkeys(("nanometers", "nanometer", "nanometres", "nanometre", "nm"), Decimal(1)),
    **dict.fromkeys(("micrometers", "micrometer", "micrometres", "micrometre"), Decimal(1000)),
    **dict.fromkeys(("microns", "micron", "um", "µm", "μm"), Decimal(1000)),
    **dict.fromkeys(("millimeters", "millimeter", "mm"), Decimal(1_000_000)),
    **dict.fromkeys(("angstroms", "angstrom", "å"), Decimal("0.1")),
}
"""Lengths; `wavenumber` (1/cm), `ghz` and `mhz` are converted by `_reciprocal_nm`."""

RECIPROCAL_NM = {
    "wavenumber": Decimal(10_000_000),
    "ghz": Decimal(299_792_458),
    "mhz": Decimal(299_792_458_000),
}
"""nm = constant / value."""

PLAUSIBLE_LIMIT = 100
"""Centres below are micrometres, centres above nanometres, where the unit is silent or wrong."""

LARGEST = Decimal(10) ** 15
"""Greater numbers are no wavelengths, and would leave the range of the arithmetic."""

IN_NAME = re.compile(
    r"(\d+(?:\.\d+)?)\s*(nanomet(?:er|re)s?|nm|micromet(?:er|re)s?|microns?|[uµμ]m)\b", re.I
)


@dataclass(frozen=True)
class SpectralTexts:
    """What one source says, as texts; `tolerance_nm` is how far its own rounding reaches."""

    source: str
    wavelength: Sequence[str] | None = None
    unit: str | None = None
    fwhm: Sequence[str] | None = None
    good: Sequence[str] | None = None
    tolerance_nm: float = 1e-3


@dataclass(frozen=True)
class Spectral:
    """The spectral items of a cube, in nanometres; `unit` is the word the file used, if right."""

    wavelength_nm: tuple[float, ...] | None = None
    fwhm_nm: tuple[float, ...] | None = None
    good: tuple[bool, ...] | None = None
    unit: str | None = None


def choose(sources: Iterable[SpectralTexts], bands: int, where: str) -> Spectral:
    """The items of the first source that has them; warns where a later one contradicts it."""
    found: list[tuple[SpectralTexts, Spectral]] = [
        (texts, _read(texts, bands, where)) for texts in sources
    ]
    centres = [(t, s) for t, s in found if s.wavelength_nm is not None]
    for texts, other in centres[1:]:
        _warn_if_apart(centres[0], (texts, other), where)
    return Spectral(
        centres[0][1].wavelength_nm if centres else None,
        next((s.fwhm_nm for _, s in found if s.fwhm_nm is not None), None),
        next((s.good for _, s in found if s.good is not None), None),
        centres[0][1].unit if centres else None,
    )


def _warn_if_apart(
    first: tuple[SpectralTexts, Spectral], other: tuple[SpectralTexts, Spectral], where: str
) -> None:
    a, b = first[1].wavelength_nm or (), other[1].wavelength_nm or ()
    apart = max(abs(x - y) for x, y in zip(a, b, strict=True))
    if apart > max(first[0].tolerance_nm, other[0].tolerance_nm):
        warn(
            f"{where}: the wavelengths in {first[0].source} and {other[0].source} differ by up to "
            f"{apart:.6g} nm: those in {first[0].source} are used"
        )


def _read(texts: SpectralTexts, bands: int, where: str) -> Spectral:
    """The numbers of one source; a list of the wrong length or with words in it is left out."""
    name = f"{where}: wavelengths in {texts.source}"
    values = _numbers(texts.wavelength, bands, name)
    if values is not None and (max(values) <= 0 or min(values) < 0):
        warn(f"{name} are {'below' if min(values) < 0 else 'all'} zero: left out")
        values = None
    fwhm = _numbers(texts.fwhm, bands, f"{where}: FWHM in {texts.source}")
    good = _numbers(texts.good, bands, f"{where}: bad-band list in {texts.source}")
    flags = None if good is None else tuple(bool(g) for g in good)
    if values is None:
        unit = _known_unit(texts.unit) or "nm"
        scaled = None if fwhm is None or unit not in NM_PER_UNIT else _nm(fwhm, unit)
        return Spectral(None, scaled, flags)
    unit, stated = _unit(values, texts.unit, name)
    widths = None if fwhm is None else _widths_nm(fwhm, values, unit)
    return Spectral(_nm(values, unit), widths, flags, stated)


def _numbers(texts: Sequence[str] | None, bands: int, name: str) -> list[Decimal] | None:
    if texts is None or not any(texts):
        return None
    if len(texts) != bands:
        warn(f"{name}: {len(texts)} values for {bands} bands: left out")
        return None
    numbers = _parsed(tuple(texts))
    odd = [text for text, number in zip(texts, numbers, strict=True) if number is None]
    if odd:
        warn(f"{name}: '{odd[0][:30]}' is not a number: left out")
        return None
    return [n for n in numbers if n is not None]


@lru_cache(maxsize=32)  # scenes of one camera say the same
def _parsed(texts: tuple[str, ...]) -> list[Decimal | None]:
    return [_number(text) for text in texts]


def _number(text: str) -> Decimal | None:
    """The number in a text, or None where it holds none of a sensible size."""
    try:
        number = Decimal(text) if len(text) <= 60 else None
    except InvalidOperation:
        return None
    finite = number is not None and number.is_finite() and abs(number) < LARGEST
    return number if finite else None


def _known_unit(unit: str | None) -> str | None:
    word = (unit or "").strip().lower()
    return word if word in NM_PER_UNIT or word in RECIPROCAL_NM else None


def _unit(values: Sequence[Decimal], declared: str | None, name: str) -> tuple[str, str | None]:
    """The unit to use, and the file's own word for it where that was right."""
    unit = _known_unit(declared)
    largest = max(values)
    likely = "nm" if largest >= PLAUSIBLE_LIMIT else "um"
    if unit is None:
        said = f"have the unit '{declared}'" if declared else "have no unit"
        warn(f"{name} {said}: taken as {likely}")
        return likely, None
    wrong = (NM_PER_UNIT.get(unit) == 1 and likely == "um") or (
        NM_PER_UNIT.get(unit) == 1000 and min(v for v in values if v > 0) >= PLAUSIBLE_LIMIT
    )
    if wrong:
        warn(f"{name} are said to be in {declared} but reach {largest}: taken as {likely}")
        return likely, None
    return unit, declared if unit in NM_PER_UNIT else None


def _nm(values: Sequence[Decimal], unit: str) -> tuple[float, ...]:
    if unit in RECIPROCAL_NM:
        return tuple(float(RECIPROCAL_NM[unit] / v) if v else 0.0 for v in values)
    return tuple(float(v * NM_PER_UNIT[unit]) for v in values)


def _widths_nm(fwhm: Sequence[Decimal], centres: Sequence[Decimal], unit: str) -> tuple[float, ...]:
    """FWHM in nm; for reciprocal units d(c/v) = c dv / v^2."""
    if unit in RECIPROCAL_NM:
        c = RECIPROCAL_NM[unit]
        return tuple(
            float(c * w / (v * v)) if v else 0.0 for w, v in zip(fwhm, centres, strict=True)
        )
    return _nm(fwhm, unit)


def in_unit(values_nm: Sequence[float], unit: str) -> list[str]:
    """Nanometres as texts in a length unit that `NM_PER_UNIT` knows, no digit lost."""
    factor = NM_PER_UNIT[unit.strip().lower()]
    if factor == 1:
        return [repr(float(v)) for v in values_nm]
    return [format((Decimal(repr(float(v))) / factor).normalize(), "f") for v in values_nm]


def length_nm(text: str, what: str) -> float:
    """A length such as `680nm` or `0.68um` in nanometres.

    Raises:
        UsageError: no number with a known unit.
    """
    match = re.fullmatch(
        r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-zA-ZµμåÅ]+)\s*", text
    )
    unit = match and NM_PER_UNIT.get(match[2].lower())
    number = match and _number(match[1])
    if unit is None or number is None:
        raise UsageError(f"{what} '{text}' is not a length: write it as 680nm or 0.68um")
    return float(number * unit)


def of_header(items: Mapping[str, str], source: str = "the header") -> list[SpectralTexts]:
    """The sources in an ENVI header: its lists, then its band names."""
    unit = items.get("wavelength units")
    lists = {
        key: list_of(items[key]) if key in items else None for key in ("wavelength", "fwhm", "bbl")
    }
    named = of_names(list_of(items["band names"])) if "band names" in items else []
    return [
        SpectralTexts(source, lists["wavelength"], unit, lists["fwhm"], lists["bbl"]),
        *named,
    ]


def of_band_tags(
    tags: Sequence[Mapping[str, str]], namespaced: Sequence[Tags]
) -> list[SpectralTexts]:
    """The sources in the tags of GDAL bands: plain items first, the rounded IMAGERY domain last."""
    plain = [{key.lower(): value for key, value in band.items()} for band in tags]
    units = {b.get("wavelength_units") or b.get("wavelength_unit") for b in plain}
    unit = units.pop() if len(units) == 1 else None
    good = _flags(_column(plain, "bbl") or _column(plain, "good_band"))
    imagery = [band.get("IMAGERY", {}) for band in namespaced]
    return [
        SpectralTexts(
            "the band tags", _column(plain, "wavelength"), unit, _column(plain, "fwhm"), good
        ),
        SpectralTexts(
            "the IMAGERY items",
            _column(imagery, "CENTRAL_WAVELENGTH_UM"),
            "um",
            _column(imagery, "FWHM_UM"),
            tolerance_nm=0.5001,
        ),
    ]


def _flags(words: Sequence[str] | None) -> list[str] | None:
    """Flags as numbers, where they are written as words."""
    numbers = {"true": "1", "yes": "1", "false": "0", "no": "0"}
    return None if words is None else [numbers.get(word.lower(), word) for word in words]


def _column(bands: Sequence[Mapping[str, str]], key: str) -> list[str] | None:
    if not all(band.get(key) for band in bands):
        return None
    return [band[key].strip() for band in bands]


def of_names(names: Sequence[str]) -> list[SpectralTexts]:
    """Wavelengths written into band names, such as `376.44 Nanometers`."""
    matches = [IN_NAME.search(name or "") for name in names]
    found = [m for m in matches if m is not None]
    units = {m[2].lower() for m in found}
    if not names or len(found) < len(names) or len(units) != 1:
        return []
    return [
        SpectralTexts("the band names", [m[1] for m in found], units.pop(), tolerance_nm=0.5001)
    ]


def of_file(path: Path) -> list[SpectralTexts]:
    """The sources in a user's `--wavelengths` file.

    An ENVI header; or a table with a line for each band: wavelengths, or band numbers and
    wavelengths, then FWHM. A head line names the columns in any order: `wavelength` (or
    wavelength_nm, wavelength_um), `fwhm`, `bbl` or `good`; others are passed over.

    Raises:
        DataError: the file cannot be read or holds no wavelengths.
    """
    if path.suffix.lower() == ".hdr":
        return of_header(read_header(path), str(path))
    rows = _table(path)
    if _number(rows[0][0]) is not None:
        columns = _unnamed([list(column) for column in zip(*rows, strict=False)])
    else:
        head = [re.sub("[^a-zµμ]+", "_", word.lower()).strip("_") for word in rows[0]]
        columns = {n: [r[i] if i < len(r) else "" for r in rows[1:]] for i, n in enumerate(head)}
    named = next((n for n in columns if n.split("_")[0] in CENTRE_WORDS), None)
    if named is None:
        raise DataError(
            f"{path}: no column is named 'wavelength' (or wavelength_nm, wavelength_um)"
        )
    unit = named.rpartition("_")[2] if "_" in named else None
    widths = next((columns[n] for n in columns if n.startswith("fwhm")), None)
    good = columns.get("bbl") or columns.get("good")
    return [SpectralTexts(str(path), columns[named], unit, widths, _flags(good))]


CENTRE_WORDS = ("wavelength", "wavelengths", "wave", "center", "centre", "wl")
MAX_TABLE_BYTES = 2**24


def _table(path: Path) -> list[list[str]]:
    """The cells of a table whose columns stand apart by commas, semicolons, tabs or blanks."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise DataError(f"{path}: too large for a table of wavelengths")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot read wavelengths: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: holds no text, so no wavelengths") from error
    lines = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise DataError(f"{path}: holds no wavelengths")
    mark = next((m for m in "\t;," if m in lines[0]), None)
    return [[cell.strip().strip("\"'").strip() for cell in line.split(mark)] for line in lines]


def _unnamed(columns: list[list[str]]) -> dict[str, list[str]]:
    """The columns of a table without a head: band numbers, if it has them, are left out."""
    count = len(columns[0])
    numbered = columns[0] in ([str(i + first) for i in range(count)] for first in (0, 1))
    if numbered and len(columns) > 1:
        columns = columns[1:]
    return dict(zip(("wavelength", "fwhm"), columns, strict=False))


def override(info: CubeInfo, sources: Sequence[SpectralTexts], where: str) -> CubeInfo:
    """`info` with the spectral items that a user's file gives.

    Raises:
        DataError: it gives no wavelength for each band.
    """
    if not sources:
        return info
    found = choose(sources, info.bands, where)
    if found.wavelength_nm is None:
        raise DataError(
            f"{sources[0].source}: does not hold one wavelength for each of the {info.bands} bands"
        )
    given = {"fwhm_nm": found.fwhm_nm, "good": found.good}
    return info.replace(
        wavelength_nm=found.wavelength_nm,
        header={**info.header, "wavelength units": found.unit or "Nanometers"},
        **{name: value for name, value in given.items() if value is not None},
    )


def warn(message: str) -> None:
    """One line for the user."""
    warnings.warn(message, HsitoolWarning, stacklevel=2)
