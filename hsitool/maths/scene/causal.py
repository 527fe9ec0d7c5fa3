"""RX as a push-broom line can use it: each line scored by the mean and covariance of those before.

The state is updated once a line. The covariance is factored anew for each, B^3 / 3 multiplications
against n B^2 for whitening its n pixels and 2 n B^2 for n rank-one updates of the factor: updates
would be cheaper for lines of less than B / 6 pixels only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hsitool.device import on_cpu
from hsitool.maths.scene.model import BandBlock, SceneModel, SceneSums, Shrink, chosen, finished
from hsitool.maths.scene.moments import Moments
from hsitool.maths.scene.scores import rx

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class CausalRx:
    """Scores lines in their order; the first `training` lines are only learned from.

    The noise of the ridge is that of these lines.
    """

    def __init__(
        self, training: int, segments: list[range], block: BandBlock, shrink: Shrink
    ) -> None:
        self._training, self._segments, self._block = training, segments, block
        self._shrink, self._lines = shrink, 0
        self._sums = SceneSums.none(len(block.bands))
        self._trained: SceneModel | None = None

    def __call__(self, spectra: Floats, valid: Flags, moments: Moments | None = None) -> Floats:
        """(columns,) the scores of the next line, NaN where there is none, on the CPU.

        Args:
            spectra: (bands, columns) of the line, on any device.
            valid: (columns,) pixels without missing samples, on the CPU.
            moments: of the valid ones, where they are known already, on the CPU.

        Raises:
            DataError: the lines before do not give a covariance.
            UsageError: nor the noise.
        """
        scores = np.full(valid.shape, np.nan)
        before = self._sums.spectra
        if self._lines >= self._training and valid.any():
            background = self._model(before).background(self._shrink)
            scores[valid] = on_cpu(rx(chosen(spectra, valid), background))
        if self._lines < self._training:
            self._sums += SceneSums.of(spectra[:, None], valid[None], self._lines).on_cpu()
        else:
            own = moments or Moments.of(chosen(spectra, valid)).on_cpu()
            self._sums = replace(self._sums, spectra=before + own)
        self._lines += 1
        return scores

    def _model(self, before: Moments) -> SceneModel:
        """The state: what is known of the lines so far."""
        if self._trained is None:
            self._trained = finished(self._sums, self._segments, [self._block])
        return replace(
            self._trained, count=before.count, mean=before.mean, covariance=before.covariance
        )
