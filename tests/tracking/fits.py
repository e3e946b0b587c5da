"""Fits that no sampler made, quickly: as good as any to be saved, registered and loaded."""

import numpy as np

import models.rhythm
from models.parts.posterior_file import Card, digest
from models.parts.rhythm_version import FittedRhythm
from tests.models.test_weekly_paths import ONE, OTHER

COMPLAINT = "bulk ESS of decline is 41, below 400"


def rhythm_fit(shift: float = 0.0, complaints: tuple[str, ...] = ()) -> FittedRhythm:
    """``rhythm`` with two draws of its population; another ``shift`` is another version."""
    arrays = {name: np.stack([ONE[name], OTHER[name]]).astype(np.float32) for name in ONE}
    arrays |= {
        "decline": arrays["decline"] + np.float32(shift),
        "arrival_shape": np.float32([0.5, 0.6]),
        "season": np.array([0.2, 0.0, 0.1, 0.0, -0.3, 0.0, 0.0, 0.0, 0.4]),
        "base_rates": np.array([0.02, 0.3, 0.01]),
    }
    formulas = models.rhythm.MODEL.formulas
    card = Card(
        model="rhythm",
        formulas=formulas,
        version=digest(formulas, arrays),
        as_of_date="2022-06-06",
        pairs=400,
        seed=5,
        description="The model card.",
        settings={"draws": 1000, "chains": 4, "pairs": None},
        diagnostics={"r_hat": 1.003, "r_hat_worst": "decline", "divergences": 0},
        complaints=list(complaints),
        checks=[{"name": "orders", "p": 0.4}],
    )
    return FittedRhythm.of(card, arrays)
