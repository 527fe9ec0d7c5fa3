"""Values that other tools gave for the same scene: PyTorch 2.13 (CPU, float64), scikit-learn 1.9.1
and Spectral Python (SPy) 0.25. None of them is needed to run the tests.

The scene is `hashed_scene.py`; the target is 1.1 times the spectrum at row 3, column 4, plus 0.2.
Scores of weights are band 5 minus its mean.
"""

from __future__ import annotations

import numpy as np
import pytest
from hashed_scene import hashed_scene
from numpy.typing import NDArray

from hsitool.maths.attention.context import context, gather
from hsitool.maths.attention.edges import edge_strength
from hsitool.maths.attention.weights import attention_weights, focus_on
from hsitool.maths.scene import scores
from hsitool.maths.scene.local_rx import components, local_rx
from hsitool.maths.scene.model import Shrink, oas, scene_model

Floats = NDArray[np.float64]

CUBE = hashed_scene()
SPECTRA = CUBE.reshape(len(CUBE), -1)
TARGET = 1.1 * CUBE[:, 3, 4] + 0.2
PLACES = ([0, 2, 5, 9, 13], [0, 7, 5, 1, 10])
LOGITS = SPECTRA[4] - SPECTRA[4].mean()

SPY = {
    "rx": [10.874136759784935, 4.525743625420393, 3.1320802661071068, 10.080992807912851,
           8.22693157132991],
    "matched_filter": [0.0802527153171631, 0.06022309587379754, -0.09181082981979245,
                       -0.03192017205446179, 0.17470878166632345],
    "ace": [0.03525804275733746, 0.047705639963814925, 0.16020957264999053, 0.006016731926074702,
            0.22086408737102514],
    "spectral_angles": [0.2500865158428283, 0.23737663731063952, 0.11167408410308377,
                        0.26133344989155743, 0.22151787740643064],
}  # fmt: skip


def at_places(values: Floats) -> Floats:
    return values.reshape(CUBE.shape[1:])[PLACES]


def test_scores_of_spy() -> None:
    background = scene_model(CUBE).background(Shrink("none"))
    found = {
        "rx": scores.rx(SPECTRA, background),
        "matched_filter": scores.matched_filter(SPECTRA, TARGET, background),
        "ace": scores.ace(SPECTRA, TARGET, background) ** 2,
        "spectral_angles": -scores.sam(SPECTRA, TARGET),
    }
    for name, values in found.items():
        np.testing.assert_allclose(at_places(values), SPY[name], rtol=1e-10, atol=1e-12)


def test_local_rx_of_spy_away_from_the_border() -> None:
    """SPy gives float32, and has another rule at the border."""
    parts = components(scene_model(CUBE[:3]), 3, Shrink("none"))
    values = parts.of(SPECTRA[:3]).reshape(3, *CUBE.shape[1:])
    found = local_rx(values, np.ones(CUBE.shape[1:], bool), 3, 9)
    theirs = [1.5686548948287964, 8.887526512145996, 4.355597972869873, 6.529326915740967]
    np.testing.assert_allclose(found[[5, 4, 9, 7], [5, 4, 6, 5]], theirs, rtol=1e-6)


def test_shrinkage_of_scikit_learn() -> None:
    """Of the first 40 pixels; the shrinkage was 0.0552."""
    found = oas(np.cov(SPECTRA[:, :40]), 40)
    row = [28.779069649677925, 25.48895640262925, 23.499823859022197, 20.726252199228277,
           18.376679758541083, 15.200176738389981, 11.489046730792976, 7.467891214962043,
           2.6513804809787476]  # fmt: skip
    diagonal = [28.779069649677925, 24.120223181270983, 20.55132470774967, 16.205631229607675,
                12.885035889307083, 9.073267424094334, 5.532688596531195, 2.8465608374436475,
                1.0730967250650536]  # fmt: skip
    np.testing.assert_allclose(found[0], row, rtol=1e-10)
    np.testing.assert_allclose(found.diagonal(), diagonal, rtol=1e-10)


SOFTMAX = {
    0.05: [5.298164669423837e-05, 1.8732092972409775e-103, 5.217243931642421e-57,
           0.00017987334890830602, 3.962646306742517e-104, 0.9261426170998607],
    0.5: [0.06234586956386964, 8.905406983894804e-12, 3.9277085638185825e-07,
          0.0704517561815443, 7.624189328173003e-12, 0.1656009898147731],
    5.0: [0.01560928444778481, 0.0016175868337747075, 0.004713203068281907,
          0.01580124869662099, 0.0015926545747494648, 0.01721109568228242],
}  # fmt: skip
"""Of the pixels 0, 29, 60, 100, 153 (row by row) and the largest, by temperature."""


@pytest.mark.parametrize("temperature", SOFTMAX)
def test_softmax_of_torch(temperature: float) -> None:
    found = attention_weights(LOGITS, temperature=temperature, norm="softmax")
    picked = [*found[[0, 29, 60, 100, 153]], found.max()]
    np.testing.assert_allclose(picked, SOFTMAX[temperature], rtol=1e-12)


def test_the_attended_spectrum_of_torch() -> None:
    """What `scaled_dot_product_attention` gives, all spectra being the values."""
    attention = focus_on(LOGITS, temperature=0.5, norm="softmax")
    fixed, block = SPECTRA.mean(axis=1), np.zeros(SPECTRA.shape[1], np.intp)
    gathered = gather((SPECTRA - fixed[:, None]).T, attention.weights(LOGITS), block, 1)
    theirs = [19.67315599144372, 19.53490736527518, 19.138818970323697, 18.653826450405397,
              17.883051817999068, 16.77861522233095, 15.31969006713595, 13.644837531989829,
              12.001229344610792]  # fmt: skip
    np.testing.assert_allclose(context(gathered, fixed).mean, theirs, rtol=1e-12)


def test_edges_of_a_convolution_of_torch() -> None:
    """Two `conv2d` with Sobel's kernels, after `pad(mode="replicate")`."""
    image = CUBE[2].copy()
    edge_strength(image)
    theirs = [22.20315012619837, 25.808307907433832, 26.18853175797878, 24.945572877228496,
              22.37439481775165]  # fmt: skip
    np.testing.assert_allclose(image[PLACES], theirs, rtol=1e-12)
