"""Weeks in the champion's shadow: figures by hand, logged by a watch, asked for by the gate."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from backtests.evidence.gate import Gate
from backtests.evidence.shadow import Relative, Shadow, find_shadow
from backtests.scores.weekly import COLUMNS
from backtests.watch.log import log_watch
from backtests.watch.report import VersionWatch, WatchReport
from tests.tracking.fits import rhythm_fit
from toolkit.errors import TrackingError
from toolkit.model import default_model
from toolkit.tracking.promotion import PromotionRefusedError, promote
from toolkit.tracking.registration import register_fit
from toolkit.tracking.registry import find

MONDAY = pd.Timestamp("2024-01-01")
CHAMPION = f"pair_conjugate@{default_model().version}"
CHALLENGER = f"rhythm@{rhythm_fit().version}"


def rows(version, losses, crps=1.0, of_date=0):
    """A forecast kept ``of_date`` weeks after ``MONDAY``, and a row for each of its weeks."""
    return pd.DataFrame(
        {
            "version": version,
            "as_of_date": MONDAY + pd.Timedelta(weeks=of_date),
            "week": range(1, len(losses) + 1),
            "begins": [MONDAY + pd.Timedelta(weeks=of_date + i) for i in range(len(losses))],
            "loss": losses,
            "pairs": 10.0,
            "crps": crps,
            "product_weeks": 5.0,
        },
        columns=[*COLUMNS],
    )


def weeks(challenger, champion) -> pd.DataFrame:
    """Of each version a forecast a week, of which two weeks were scored."""
    parts = [
        rows(version, [loss, 99.0], crps, of_date=place)
        for version, losses, crps in ((CHALLENGER, challenger, 1.1), (CHAMPION, champion, 1.0))
        for place, loss in enumerate(losses)
    ]
    return pd.concat(parts, ignore_index=True)


def report(table: pd.DataFrame) -> WatchReport:
    versions = [
        VersionWatch(role, fit, None, 0, None, None, None, None)
        for role, fit in (("champion", CHAMPION), ("challenger", CHALLENGER))
    ]
    shadow = Shadow.of(table, CHALLENGER, CHAMPION)
    return WatchReport(date(2024, 2, 1), (), 0, tuple(versions), None, shadow)


def test_shared_weeks_count_once_each_as_the_latest_forecast_said():
    both = weeks([2.0, 2.0, 8.0], [2.0, 4.0])
    found = Shadow.of(both, CHALLENGER, CHAMPION)
    assert found.weeks == 3  # the third as the second forecast said: both had one
    assert found.log_loss.mean == pytest.approx(np.exp(np.log([1.0, 0.5, 1.0]).mean()) - 1)
    assert (found.crps.mean, found.crps.low) == pytest.approx((0.1, 0.1))
    assert found.crps.is_worse
    assert not found.log_loss.is_worse
    assert "CRPS +10.0% (95%: +10.0% to +10.0%)" in str(found)


def test_an_interval_by_hand():
    """Student's 97.5 % quantile with two degrees of freedom is 4.3027."""
    found = Relative.of(np.log([1.1, 1.2, 1.3, np.nan]))
    known = np.log([1.1, 1.2, 1.3])
    wide = 4.3027 * known.std(ddof=1) / np.sqrt(3)
    assert found.low == pytest.approx(np.exp(known.mean() - wide) - 1, abs=1e-4)
    assert found.high == pytest.approx(np.exp(known.mean() + wide) - 1, abs=1e-4)
    assert str(Relative.of(np.log([1.1]))) == "+10.0%"
    assert not Relative.of(np.log([1.1])).is_worse
    assert str(Relative.of(np.array([np.nan]))) == "not known"


@pytest.mark.slow
def test_the_gate_asks_for_weeks_in_the_shadow(store):
    register_fit(store, default_model())
    promote(store, "1", Gate(), force=True, reason="for a test")
    register_fit(store, rhythm_fit())
    candidate, champion, gate = find(store, "2"), find(store, "1"), Gate(shadow_weeks=3)

    def check():
        checks = {one.name: one for one in gate.judge(store, candidate, champion).checks}
        return checks["shadow"]

    assert check().found == f"0 weeks scored beside {CHAMPION}"
    log_watch(store, report(weeks([2.0], [2.0])))
    assert find_shadow(store, candidate, champion).weeks == 2
    assert check().remedy == (
        f"`toolkit register {CHALLENGER} --alias challenger`, and `toolkit watch` once a week "
        "until 1 more week is over"
    )
    with pytest.raises(PromotionRefusedError, match="shadow: 2 weeks scored beside"):
        promote(store, "2", gate)
    log_watch(store, report(weeks([2.1, 1.9, 2.0], [2.0, 2.0, 2.0]).assign(crps=1.0)))
    assert check().passed, check()
    assert "log loss -0.1% (95%:" in check().found
    log_watch(store, report(weeks([2.2] * 5, [2.0] * 5).assign(crps=1.0)))
    assert not check().passed
    assert "worse than the champion beyond noise" in check().remedy
    assert "shadow" not in {one.name for one in Gate().judge(store, candidate, champion).checks}
    assert find_shadow(store, champion, candidate).weeks == 0


def test_weeks_are_a_whole_number():
    with pytest.raises(ValueError, match="shadow_weeks"):
        Gate(shadow_weeks=-1)
    assert issubclass(PromotionRefusedError, TrackingError)
