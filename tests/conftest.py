"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

# As the command line does: BLAS threads would wait for each other in many small products.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real cubes and photographs; the test is skipped where it is absent."""
    named = os.environ.get("HSITOOL_TEST_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data absent: no folder {folder} (HSITOOL_TEST_DATA can name one)")
    return folder


@pytest.fixture(scope="session")
def sample() -> Path:
    """The sample scene that the project ships."""
    return CHECKOUT / "data" / "sample.tif"


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of random numbers, the same for each test."""
    return np.random.default_rng(20240724)
