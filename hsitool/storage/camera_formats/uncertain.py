"""What a camera file says of the errors of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError
from hsitool.storage.camera_formats.values import Record, numbers, texts
from hsitool.storage.covariance import sound

MOST_PARAMETERS = 64
OF_THE_CAMERA = ("f", "fx", "fy", "cx", "cy")


def uncertainty(names: Any, covariances: Sequence[Any], errors: Any) -> dict[str, Any]:
    """`parameters`, `covariance` and `standard_errors` of a `CameraInfo`.

    Args:
        names: of the parameters, a list of texts.
        covariances: of them, of which the widest is taken; None where there is none.
        errors: standard errors in the same order, or None: then the covariance's.

    Raises:
        DataError: lists of other lengths, or no covariance.
    """
    listed = texts(names, "the names of the parameters")
    if len(listed) > MOST_PARAMETERS:
        raise DataError(f"{len(listed)} parameters are more than a camera has")
    sides = len(listed)
    known = [_matrix(matrix, sides) for matrix in covariances if _is_known(matrix)]
    found: dict[str, Any] = {}
    if known:
        widest = _widest(known)
        found["parameters"] = listed
        found["covariance"] = tuple(map(tuple, widest.tolist()))
        found["standard_errors"] = by_name(listed, np.sqrt(np.diag(widest)).tolist())
    if errors is not None and None not in errors:
        found["standard_errors"] = by_name(listed, numbers(errors, "the standard errors", (sides,)))
    return found


def by_name(names: Sequence[str], errors: Sequence[float]) -> dict[str, float]:
    """Standard errors that are known and above 0; those of held parameters are 0."""
    pairs = zip(names, errors, strict=False)
    return {name: error for name, error in pairs if error > 0 and np.isfinite(error)}


def record_of(names: Sequence[str], covariance: Any, errors: Any) -> Record:
    """The same, for a file of ours."""
    listed = [errors.get(name) for name in names]
    return {"names": list(names), "standard_errors": listed, "covariance": covariance}


def _is_known(matrix: Any) -> bool:
    return matrix is not None and not _holds_none(matrix)


def _holds_none(matrix: Any) -> bool:
    """JSON of a jackknife that could not be had holds null for each number."""
    return isinstance(matrix, list) and any(
        part is None or (isinstance(part, list) and None in part) for part in matrix
    )


def _matrix(value: Any, sides: int) -> NDArray[np.float64]:
    flat = numbers(value, "the covariance", (sides * sides,))
    return sound(np.array(flat).reshape(sides, sides), "the covariance")


def _widest(known: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """That with the larger variances, on average of their ratios to the first's."""
    first = np.diag(known[0])
    scale = np.where(first > 0, first, 1.0)
    return max(known, key=lambda matrix: float(np.mean(np.diag(matrix) / scale)))
