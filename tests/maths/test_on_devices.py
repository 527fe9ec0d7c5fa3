"""Scene models, scores and attention on arrays of CuPy: the same numbers, on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scenes
from numpy.typing import NDArray

from hsitool.device import CPU, Device, Gpu, device_of
from hsitool.maths.attention.context import context, gather
from hsitool.maths.attention.edges import edge_strength
from hsitool.maths.attention.weights import NORMS, attention_weights
from hsitool.maths.scene import scores
from hsitool.maths.scene.causal import CausalRx
from hsitool.maths.scene.local_rx import components, local_rx
from hsitool.maths.scene.model import BandBlock, SceneModel, Shrink, scene_model

Floats = NDArray[np.float64]
BANDS, ROWS, COLUMNS = 18, 40, 52
TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def cube() -> Floats:
    """With missing samples, which must not come into any sum."""
    made = scenes.signal(BANDS, ROWS, COLUMNS)
    made += 0.01 * scenes.noise(made.shape, 0.0, np.random.default_rng(7))
    made[3, 4, 5], made[:, 20, 30:34] = np.nan, np.nan
    return made


@pytest.fixture(scope="module")
def model(cube: Floats) -> SceneModel:
    return scene_model(cube)


def spectra_of(cube: Floats) -> Floats:
    return cube[:, np.isfinite(cube).all(axis=0)]


def near(found: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    scale = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("told", [True, False], ids=["valid given", "valid found"])
def test_models(array_gpu: Gpu, cube: Floats, told: bool) -> None:
    valid = np.isfinite(cube).all(axis=0)
    with array_gpu.work():
        placed = array_gpu.put(np.nan_to_num(cube) if told else cube)
        found = scene_model(placed, array_gpu.put(valid) if told else None)
    good = cube[:, valid]
    assert found.count == good.shape[1]
    near(found.mean, good.mean(axis=1))
    near(found.covariance, np.cov(good))
    on_cpu = scene_model(cube)
    near(found.noise_std, on_cpu.noise_std, 1e-10)
    near(found.difference_std, on_cpu.difference_std, 1e-10)


def inverse_of(model: SceneModel, shrink: Shrink) -> Floats:
    return np.linalg.inv(model.shrunk(shrink))


def rx_in_numpy(x: Floats, t: Floats, mean: Floats, inverse: Floats) -> Floats:
    return np.einsum("bn,bc,cn->n", x - mean, inverse, x - mean)


def mf_in_numpy(x: Floats, t: Floats, mean: Floats, inverse: Floats) -> Floats:
    wanted = t - mean
    return (wanted.T @ inverse @ (x - mean)) / np.sum(wanted * (inverse @ wanted), axis=0)[:, None]


def ace_in_numpy(x: Floats, t: Floats, mean: Floats, inverse: Floats) -> Floats:
    wanted, own = t - mean, x - mean
    lengths = np.sum(wanted * (inverse @ wanted), axis=0)[:, None] * np.sum(
        own * (inverse @ own), axis=0
    )
    return (wanted.T @ inverse @ own) / np.sqrt(lengths)


def sam_in_numpy(x: Floats, t: Floats, mean: Floats, inverse: Floats) -> Floats:
    lengths = np.linalg.norm(t, axis=0)[:, None] * np.linalg.norm(x, axis=0)
    return -np.arccos(np.clip(t.T @ x / lengths, -1, 1))


def sid_in_numpy(x: Floats, t: Floats, mean: Floats, inverse: Floats) -> Floats:
    p = np.maximum(x / x.sum(axis=0), scores.FLOOR)
    q = np.maximum(t / t.sum(axis=0), scores.FLOOR)
    return -np.array([np.sum((p - one[:, None]) * np.log(p / one[:, None]), axis=0) for one in q.T])


TRUTHS: dict[str, Callable[..., Floats]] = {
    "rx": rx_in_numpy,
    "mf": mf_in_numpy,
    "ace": ace_in_numpy,
    "sam": sam_in_numpy,
    "sid": sid_in_numpy,
}


@pytest.mark.parametrize("one", [True, False], ids=["one target", "targets"])
@pytest.mark.parametrize("method", TRUTHS)
def test_scores(array_gpu: Gpu, cube: Floats, model: SceneModel, method: str, one: bool) -> None:
    spectra, shrink = spectra_of(cube), Shrink("noise", 10.0)
    targets = 1.1 * spectra[:, [5, 700, 1400]]
    asked = targets[:, 1] if one else targets
    background = model.background(shrink)

    def score(given: Any) -> Any:
        if method == "rx":
            return scores.rx(given, background)
        return scores.score(method, given, asked, background)  # type: ignore[arg-type]

    with array_gpu.work():
        placed = score(array_gpu.put(spectra))
        assert device_of(placed) == array_gpu
        found = array_gpu.get(placed)
    on_cpu = score(spectra)
    truth = TRUTHS[method](spectra, targets, model.mean[:, None], inverse_of(model, shrink))
    assert isinstance(on_cpu, np.ndarray) and found.shape == on_cpu.shape
    near(found, on_cpu, 1e-7 if method == "sam" else TOLERANCE)  # of 0 there is a root
    near(found, truth[1] if one and method != "rx" else truth, 1e-9)


def test_targets_on_the_device(array_gpu: Gpu, cube: Floats, model: SceneModel) -> None:
    spectra, background = spectra_of(cube), model.background()
    for method in ("ace", "mf", "sam", "sid"):
        with array_gpu.work():
            placed = array_gpu.put(spectra)
            found = scores.score(method, placed, placed[:, 3:5], background)  # type: ignore[arg-type]
            expected = scores.score(method, spectra, spectra[:, 3:5], background)  # type: ignore[arg-type]
            near(array_gpu.get(found), expected, 1e-7 if method == "sam" else TOLERANCE)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("how", [{"focus": "2%"}, {"focus": 300}, {"temperature": 0.3}])
def test_weights(array_gpu: Gpu, norm: Any, how: Any) -> None:
    given = np.random.default_rng(3).normal(size=(50, 60))
    given[3, 4], given[7, :9] = np.nan, -np.inf
    with array_gpu.work():
        placed = attention_weights(array_gpu.put(given), norm=norm, **how)
        assert device_of(placed) == array_gpu
        found = array_gpu.get(placed)
    near(found, attention_weights(given, norm=norm, **how))
    assert found.sum() == pytest.approx(1, abs=1e-12)
    if norm == "softmax" and "temperature" in how:
        shifted = np.exp(np.where(np.isnan(given), -np.inf, given) / how["temperature"])
        near(found, shifted / shifted.sum())


def test_gathered(array_gpu: Gpu) -> None:
    rng = np.random.default_rng(5)
    spectra, weights = rng.normal(size=(90, 6)), rng.random(90) / 45
    block = rng.integers(0, 4, 90)
    with array_gpu.work():
        found = context(gather(array_gpu.put(spectra), weights, block, 5), np.zeros(6))
    near(found.mean, np.average(spectra, axis=0, weights=weights))
    expected = context(gather(spectra, weights, block, 5), np.zeros(6))
    near(found.sd, expected.sd)
    near(found.error, expected.error)


def test_edges(array_gpu: Gpu, cube: Floats) -> None:
    image = np.tile(cube[2], (8, 1))  # of more rows than are worked on at a time
    with array_gpu.work():
        placed = array_gpu.put(image)
        edge_strength(placed)
        found = array_gpu.get(placed)
    expected = image.copy()
    edge_strength(expected)
    holes = np.isinf(expected)
    np.testing.assert_array_equal(np.isinf(found), holes)
    near(np.where(holes, 0, found), np.where(holes, 0, expected))


def test_rings(array_gpu: Gpu, cube: Floats, model: SceneModel) -> None:
    valid = np.isfinite(cube).all(axis=0)
    parts = components(model, 4, Shrink())

    def score(device: Device) -> Floats:
        with device.work():
            values = parts.of(device.put(np.nan_to_num(cube).reshape(BANDS, -1)))
            assert device_of(values) == device
            placed = values.reshape(4, ROWS, COLUMNS)
            return device.get(local_rx(placed, device.put(valid), 3, 9, parts.ridge))

    near(score(array_gpu), score(CPU), 1e-9)


def test_lines(array_gpu: Gpu, cube: Floats) -> None:
    valid = np.isfinite(cube).all(axis=0)
    block = BandBlock("cube", tuple(range(BANDS)), BANDS)

    def score(device: Device) -> Floats:
        detector = CausalRx(12, [range(BANDS)], block, Shrink())
        with device.work():
            placed = device.put(cube)
            return np.stack([detector(placed[:, row], valid[row]) for row in range(ROWS)])

    near(score(array_gpu), score(CPU), 1e-9)
