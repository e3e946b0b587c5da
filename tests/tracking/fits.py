"""Fits that no sampler made, quickly: as good as any to be saved, registered and loaded."""

from dataclasses import replace
from datetime import date

import numpy as np

import models.rhythm
from models.parts.fitting.card import digest
from models.parts.fitting.inference import Inference
from models.parts.rhythm.version import FittedRhythm
from tests.models.test_weekly_paths import ONE, OTHER, arrays_of
from toolkit.results.fit import FitCard, PredictiveCheck

WARNING = "bulk ESS of decline is 41, below 400"
APPROXIMATE = "approximate, by Laplace's method (k-hat 0.31): for a first look"


def rhythm_fit(shift: float = 0.0, warnings: tuple[str, ...] = ()) -> FittedRhythm:
    """``rhythm`` with two draws of its population; another ``shift`` is another version."""
    known = arrays_of(ONE, OTHER)
    arrays = known | {"decline": known["decline"] + shift}
    formulas = models.rhythm.MODEL.formulas
    card = FitCard(
        model="rhythm",
        formulas=formulas,
        version=digest(formulas, arrays),
        as_of_date=date(2022, 6, 6),
        pairs=400,
        seed=5,
        description="The model card.",
        settings={"draws": 1000, "chains": 4, "pairs": None},
        diagnostics={"r_hat": 1.003, "r_hat_worst": "decline", "divergences": 0},
        warnings=warnings,
        checks=(PredictiveCheck("orders", 0.4, (0.1, 0.9), (0.3, 0.5), 0.4),),
    )
    return FittedRhythm.of(card, Inference.unsampled(arrays, sampled=True))


def spread_fit(seed: int, off: float = 0.0, warnings: tuple[str, ...] = ()) -> FittedRhythm:
    """``rhythm`` with 400 draws of N(m + ``off``, 1), where ``rhythm_fit`` has m."""
    like, rng = rhythm_fit(warnings=warnings), np.random.default_rng(seed)
    arrays = {
        name: (a[0] + off + rng.standard_normal((400, *a.shape[1:]))).astype(np.float32)
        if name in ONE
        else a
        for name, a in like.arrays.items()
    }
    card = replace(like.card, version=digest(like.card.formulas, arrays))
    return FittedRhythm.of(card, Inference.unsampled(arrays, sampled=True))
