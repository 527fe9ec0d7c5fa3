"""Spectra brought to a cube's bands: which are refused, which are left out."""

from __future__ import annotations

import numpy as np
import pytest

from hsitool.cube import CubeInfo
from hsitool.errors import DataError
from hsitool.storage.spectra import Spectrum
from hsitool.tasks.query import at_bands, name_bands

CENTRES = tuple(np.arange(400.0, 450.0, 5.0).tolist())
INFO = CubeInfo(10, 4, 5, np.dtype("float32"), CENTRES, (6.0,) * 10)
BLIND = CubeInfo(10, 4, 5, np.dtype("float32"))


def spectrum(values: object, at: object = None, **more: object) -> Spectrum:
    known = None if at is None else tuple(np.asarray(at, float).tolist())
    return Spectrum("leaf", np.asarray(values, float), known, **more)  # type: ignore[arg-type]


def test_bands_that_are_not_covered_are_nan() -> None:
    found = at_bands(spectrum(np.ones(60), np.arange(410, 470)), INFO, range(10))
    assert np.isnan(found).tolist() == [True] * 3 + [False] * 7
    np.testing.assert_allclose(found[3:], 1)


def test_without_wavelengths_bands_are_matched_by_number(rng: np.random.Generator) -> None:
    values, mixed = rng.random(10), rng.permutation(10)
    for info, query in (
        (INFO, spectrum(values)),
        (BLIND, spectrum(values, CENTRES)),
        (BLIND, spectrum(values[mixed], band=tuple(mixed.tolist()))),
    ):
        np.testing.assert_array_equal(at_bands(query, info, range(10)), values)


@pytest.mark.parametrize(
    ("info", "query", "said"),
    [
        (INFO, spectrum(np.ones(12)), "has 12 bands, the cube 10, and the query no wavelengths"),
        (BLIND, spectrum(np.ones(3), [1, 2, 3]), "the cube 10, and the cube no wavelengths"),
        (BLIND, spectrum(np.ones(10), band=(0,) * 10), "no wavelengths to match them by"),
        (INFO, spectrum(np.ones(50), np.arange(1000, 1050)), "1000 to 1049 nm covers no band"),
        (INFO, spectrum([*np.ones(6), np.nan, 1, 1, 1], CENTRES), r"band 7 \(430 nm\)"),
        (INFO, spectrum([*np.ones(6), np.inf, 1, 1, 1], CENTRES), "inf in sample 7 is no measur"),
        (INFO, spectrum([*np.ones(59), -1e308], np.arange(400, 460)), "-1e.308 in sample 60 is no"),
        (BLIND, spectrum(np.zeros(10)), "is 0 in all bands that it covers"),
    ],
)
def test_what_cannot_serve(info: CubeInfo, query: Spectrum, said: str) -> None:
    with pytest.raises(DataError, match=said):
        at_bands(query, info, range(10))


def test_samples_may_be_missing_where_no_band_is_used() -> None:
    query = spectrum([*np.ones(6), np.nan, 1, 1, 1], CENTRES)
    assert np.isnan(at_bands(query, INFO, [0, 1, 2, 5])).sum() == 1


def test_names_of_bands() -> None:
    assert name_bands([0, 1, 2, 6], INFO) == "bands 1-3, 7 (400-410, 430 nm)"
    assert name_bands([4], BLIND) == "band 5"
    assert name_bands([0, 2, 4, 6, 8], BLIND) == "bands 1, 3, 5, 7, ..."
