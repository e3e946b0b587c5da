"""``pooled_gamma`` as one would write it first: what the collapsed model is compared with."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from models.parts.gamma.data import FitData
from models.parts.gamma.model import build_model


def uncollapsed(data: FitData) -> pm.Model:
    """The same model with every pair's rate a parameter; only its regularity is summed out."""
    rows, m = data.rows, data.count
    k = rows.regularities
    with build_model(data, lapse=False) as model:
        model.potentials.clear()
        shape = model["shape"]
        mu = pt.exp(
            model["log_typical"] + model["customer"][data.customer] + model["product"][data.product]
        )
        raw = pm.Gamma("rate_raw", shape, 1.0, shape=len(m))
        rate = (raw / (shape * mu))[:, None]
        log_f = rows.constant + (k * m[:, None]) * pt.log(rate)
        log_f -= k * rate * rows.interval_sum[:, None]
        passed = k * rate * rows.survived[:, None]
        log_survival = pt.stack(
            [
                pt.log(sum(passed[:, j] ** i / np.prod(np.arange(1.0, i + 1)) for i in range(kj)))
                for j, kj in enumerate(k)
            ],
            axis=1,
        )
        log_f += log_survival - passed
        pm.Potential(
            "pairs_with_rates",
            pt.logsumexp(log_f + pt.log(model["regularity"])[None, :], axis=1).sum(),
        )
    return model
