"""Linear fits with errors clustered by view, against the formulas written out densely."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg, stats

from hsitool.errors import DataError
from hsitool.maths.cameras.clustered import clustered_fit

Floats = NDArray[np.float64]


def problem(rng: np.random.Generator) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Columns, right side, and clusters of unequal size."""
    cluster = np.repeat(np.arange(6), [5, 9, 14, 7, 20, 11])
    columns = np.column_stack([rng.normal(0, 300, len(cluster)), np.ones(len(cluster))])
    columns = np.column_stack([columns, rng.normal(0, 1, len(cluster)) + cluster])
    return columns, rng.normal(0, 0.2, len(cluster)), cluster


def dense(columns: Floats, right: Floats, cluster: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """The sandwich and the degrees of freedom of each value, as Bell and McCaffrey write them."""
    hat = columns @ np.linalg.pinv(columns)
    inverse = np.linalg.inv(columns.T @ columns)
    left = right - hat @ right
    covariance, pulls = np.zeros_like(inverse), []
    for name in np.unique(cluster):
        own = cluster == name
        inside = np.eye(own.sum()) - hat[np.ix_(own, own)]
        adjusted = np.real(linalg.inv(linalg.sqrtm(inside)))
        toward = inverse @ columns[own].T @ adjusted
        covariance += np.outer(toward @ left[own], toward @ left[own])
        pulls.append(((np.eye(len(hat)) - hat)[:, own] @ toward.T).T)
    freedom = []
    for value in range(columns.shape[1]):
        table = np.array([pull[value] for pull in pulls])
        sizes = np.linalg.eigvalsh(table @ table.T)
        freedom.append(sizes.sum() ** 2 / np.sum(sizes**2))
    return covariance, np.array(freedom)


def test_values_errors_and_freedom_are_those_of_the_dense_formulas(
    rng: np.random.Generator,
) -> None:
    columns, right, cluster = problem(rng)
    found = clustered_fit(columns, right, cluster)
    np.testing.assert_allclose(found.values, np.linalg.lstsq(columns, right, rcond=None)[0])
    covariance, freedom = dense(columns, right, cluster)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-7, atol=1e-16)
    for place, row in enumerate(np.eye(3)):
        assert found.dof(row) == pytest.approx(freedom[place], rel=1e-7)
        se = np.sqrt(covariance[place, place])
        assert found.standard_error(row) == pytest.approx(se, rel=1e-7)
        wide = se * stats.t.ppf(0.975, freedom[place])
        assert found.reach(row) == pytest.approx(wide, rel=1e-7)
        assert found.share(row).sum() == pytest.approx(1)


def test_rows_in_any_order_give_the_same(rng: np.random.Generator) -> None:
    columns, right, cluster = problem(rng)
    order = rng.permutation(len(cluster))
    one = clustered_fit(columns, right, cluster)
    other = clustered_fit(columns[order], right[order], cluster[order])
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-9)


def test_a_value_that_one_view_alone_determines_is_refused() -> None:
    cluster = np.repeat([0, 1, 2], 8)
    columns = np.column_stack([np.ones(24), (cluster == 1) * np.arange(24.0)])
    with pytest.raises(DataError, match="one view alone determines"):
        clustered_fit(columns, np.arange(24.0) % 5, cluster)
