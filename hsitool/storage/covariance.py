"""Covariances: of the noise of bands, from NumPy's .npy files; and what makes one sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError

HEADER_BYTES = 4096
SYMMETRY = 1e-6  # of the largest entry: what rounding to float32 leaves


def read_covariance(path: Path, bands: int) -> NDArray[np.float64]:
    """The (bands, bands) covariance in a .npy file. Nothing in the file is executed.

    Raises:
        DataError: the file cannot be read, or holds no covariance of so many bands.
    """
    try:
        if path.stat().st_size > HEADER_BYTES + bands * bands * 16:
            raise DataError(f"{path}: too large for the covariance of {bands} bands")
        matrix = np.load(path, allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: not a NumPy .npy file of numbers: {error}") from error
    if not isinstance(matrix, np.ndarray) or matrix.dtype.kind not in "iuf":
        raise DataError(f"{path}: not a NumPy .npy file of real numbers")
    if matrix.shape != (bands, bands):
        raise DataError(f"{path}: its shape is {matrix.shape}, not ({bands}, {bands}) as the bands")
    return sound(matrix.astype(np.float64), str(path))


def sound(matrix: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """A square matrix, made symmetric to the last digit, if it is a covariance.

    Raises:
        DataError: naming `where`; it is none.
    """
    largest = np.abs(matrix).max()
    if not np.isfinite(largest):
        raise DataError(f"{where}: the covariance holds NaN or infinities")
    if np.abs(matrix - matrix.T).max() > SYMMETRY * largest:
        raise DataError(f"{where}: the matrix is not symmetric, so it is no covariance")
    least = np.linalg.eigvalsh(matrix).min()
    if least < -SYMMETRY * largest:
        raise DataError(f"{where}: no covariance: its least eigenvalue {least:.3g} is negative")
    return (matrix + matrix.T) / 2
