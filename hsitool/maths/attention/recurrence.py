"""A query that attention itself makes better, or carries from one frame to the next.

Replacing the query by the attended spectrum is the update of a modern Hopfield network (Ramsauer
2020): it may find the material's own mean, or slide to another. So its way is watched.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hsitool.errors import DataError

Floats = NDArray[np.float64]

SETTLED = 1e-6
"""Change of the query, over its length, at which it has come to rest."""

LEAST_ESS = 2.0


@dataclass(frozen=True)
class Stage:
    """One turn: what the attended spectrum was like.

    `drift_deg` is its angle to the first query in the scores' own space; `change` that of the
    query over its length.
    """

    name: str
    ess: float
    drift_deg: float
    change: float
    held: str | None = None


@dataclass
class Recurrence:
    """The query as state.

    Attributes:
        query: (bands,) the present one.
        max_drift_deg: how far it may go from the first one.
        stages: of all turns so far.
        origin: (bands,) the first query.
    """

    query: Floats
    max_drift_deg: float
    stages: list[Stage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.origin = self.query

    def turn(self, name: str, attended: Floats, ess: float, drift_deg: float) -> bool:
        """Take the attended spectrum as the query; whether it still moves.

        Raises:
            DataError: it has gone too far, or hangs on a single pixel.
        """
        change = float(np.linalg.norm(attended - self.query) / np.linalg.norm(self.query))
        if trouble := self.trouble(ess, drift_deg):
            raise DataError(
                f"{name}: {trouble}: give a better query, a wider --focus or fewer --steps"
            )
        self.stages.append(Stage(name, ess, drift_deg, change))
        self.query = attended
        return change >= SETTLED

    def carry(
        self, name: str, attended: Floats, ess: float, drift_deg: float, doubt: str | None
    ) -> None:
        """Take the attended spectrum of a frame as the query of the next, unless it is doubtful."""
        change = float(np.linalg.norm(attended - self.query) / np.linalg.norm(self.query))
        held = doubt or self.trouble(ess, drift_deg)
        self.stages.append(Stage(name, ess, drift_deg, change, held))
        if held is None:
            self.query = attended

    def trouble(self, ess: float, drift_deg: float) -> str | None:
        """Why an attended spectrum cannot be the next query."""
        if drift_deg > self.max_drift_deg:
            return (
                f"the attended spectrum is {drift_deg:.1f} degrees from the first query, more than "
                f"--max-drift {self.max_drift_deg:g}"
            )
        if ess < LEAST_ESS:
            return f"the weights hang on {ess:.1f} pixels"
        return None
