"""Truth from SciPy's Sobel filter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, sobel

from hsitool.maths.attention import edges


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (1, 9), (41, 23)])
def test_the_length_of_sobels_gradient(
    shape: tuple[int, int], rows: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "ROWS", rows)
    image = rng.normal(size=shape)
    truth = np.hypot(sobel(image, 0, mode="nearest"), sobel(image, 1, mode="nearest"))
    edges.edge_strength(image)
    np.testing.assert_allclose(image, truth, atol=1e-13)


def test_holes_have_no_edges(rng: np.random.Generator) -> None:
    image = rng.normal(size=(30, 20))
    image[4, 5], image[17:20, 12:] = np.nan, np.nan
    hole = np.isnan(image)
    edges.edge_strength(image)
    beside = binary_dilation(hole, np.ones((3, 3))) & ~hole
    assert np.isnan(image[hole]).all()
    assert (image[beside] == -np.inf).all()
    assert np.isfinite(image[~hole & ~beside]).all()
