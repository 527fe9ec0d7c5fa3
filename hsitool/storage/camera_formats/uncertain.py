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


def uncertainty(
    names: Any,
    covariances: Sequence[Any],
    errors: Any,
    per_f: tuple[float, float] = (1.0, 1.0),
) -> dict[str, Any]:
    """`parameters`, `covariance` and `standard_errors` of a `CameraInfo`.

    One focal length f becomes fx and fy that are wrong together.

    Args:
        names: of the parameters, a list of texts.
        covariances: of them, of which the widest is taken; None where there is none.
        errors: standard errors in the same order, or None: then the covariance's.
        per_f: px of fx and of fy per unit of f.

    Raises:
        DataError: lists of other lengths, or no covariance.
    """
    given = texts(names, "the names of the parameters")
    if len(given) > MOST_PARAMETERS:
        raise DataError(f"{len(given)} parameters are more than a camera has")
    if len(set(given)) < len(given):
        raise DataError("names a parameter twice")
    if not given:
        return {}
    listed, apart = _apart(given, per_f)
    known = [_matrix(matrix, len(given)) for matrix in covariances if _is_known(matrix)]
    found: dict[str, Any] = {}
    if known:
        widest = apart @ _widest(known) @ apart.T
        found["parameters"] = listed
        found["covariance"] = tuple(map(tuple, widest.tolist()))
        found["standard_errors"] = by_name(listed, np.sqrt(np.diag(widest)).tolist())
    if errors is not None:
        given_errors = errors if isinstance(errors, list) else [errors]
        values = [0 if error is None else error for error in given_errors]
        row = np.array(numbers(values, "the standard errors", (len(given),)))
        row[~np.isfinite(row)] = 0  # not known
        found["standard_errors"] = by_name(listed, (np.abs(apart) @ row).tolist())
    return found


def _apart(names: tuple[str, ...], per_f: tuple[float, float]) -> tuple[tuple[str, ...], Any]:
    """Names with fx and fy instead of f, and the matrix that makes them of the given ones."""
    unit = np.eye(len(names))
    if "f" not in names or "fx" in names or "fy" in names:
        return names, unit
    place = names.index("f")
    both = np.array(per_f)[:, None] * unit[place]
    listed = (*names[:place], "fx", "fy", *names[place + 1 :])
    return listed, np.vstack([unit[:place], both, unit[place + 1 :]])


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
