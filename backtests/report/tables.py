"""The page's tables, as rows of text with what they sort by."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from backtests.compare.comparison import Difference
from backtests.report.data import ReportData
from backtests.report.frontiers import Frontier
from backtests.report.health import ReportedFit
from backtests.scores.registry import HEADLINE, SCORES, score_of
from backtests.scores.score import NEXT_ORDER, PRODUCT_WEEK, Score
from backtests.scores.summaries import ALL
from backtests.thresholds.choice import Quality
from toolkit.results.fit import MAX_R_HAT, MIN_E_BFMI, MIN_ESS, verdict_on

CALIBRATION = ("coverage_50", "coverage_80", "coverage_90")
INTERVALS = ("interval_50", "interval_80", "interval_90")
OF_CATEGORIES = ("weighted_quantile_loss", "bias_quantity", "coverage_80")


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, sorts by (None: last), and how it stands: best, level, bad or nothing."""

    text: str
    sort: float | str | None = None
    below: tuple[str, ...] = ()
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title and a hint, such as which way is better; ``number``: set to the right."""

    title: str
    hint: str = ""
    arrow: str = ""
    number: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table that sorts; the first column names the row. ``name`` tells it apart on the page."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    versions: tuple[str | None, ...] = ()  # of each row, if it is of one version


def number(value: object, digits: int = 0, mark: str = "") -> Cell:
    """A cell with a number, or a dash where there is none."""
    known = isinstance(value, int | float) and math.isfinite(value)
    return Cell(f"{value:,.{digits}f}", float(value), mark=mark) if known else Cell("–")  # type: ignore[arg-type]  # known: not None


def scored_column(score: Score) -> Column:
    """The column of a score."""
    unit = f", {score.unit}" if score.unit else ""
    return Column(f"{score.heading}{unit}", score.hint, score.arrow)


def headline_table(data: ReportData) -> Table:
    """Versions by the main scores; below each its distance to the best, with the interval."""
    columns = [score for score in HEADLINE if _has(data.scores, score)]
    cells = {m: _headline_cells(data, m) for m in columns}
    rows = tuple((Cell(v, v), *(cells[m][v] for m in columns)) for v in data.versions)
    head = (Column("Version", number=False), *map(scored_column, columns))
    return Table("headline", head, rows, data.versions)


def calibration_table(data: ReportData, level: str) -> Table:
    """Coverage by PIT, of closed intervals, and PIT's distance from uniform, by version."""
    return level_table(data, level, (*CALIBRATION, *INTERVALS, "pit_ks"))


def level_table(data: ReportData, level: str, names: Sequence[str]) -> Table:
    """Some scores of a level by version, as far as there are any."""
    columns = [m for name in names if (m := score_of(level, name)) and _has(data.scores, m)]
    values = {m: _values(data.scores, m) for m in columns}
    shown = [v for v in data.versions if any(v in values[m] for m in columns)]
    rows = tuple(
        (Cell(v, v), *(_calibrated(m, values[m].get(v, math.nan)) for m in columns)) for v in shown
    )
    head = (Column("Version", number=False), *map(scored_column, columns))
    return Table(f"calibration-{level}", head, rows, tuple(shown))


def all_scores_table(data: ReportData) -> Table:
    """Every score of every version over all dates; a row per score."""
    shown = [m for m in SCORES if _has(data.scores, m)]
    rows = []
    for m in shown:
        values = _values(data.scores, m)
        cells = (Cell(m.format(values.get(v, math.nan)), values.get(v)) for v in data.versions)
        rows.append(
            (
                Cell(m.heading, m.heading, (m.unit,) if m.unit else ()),
                Cell(m.hint, m.hint),
                *cells,
            )
        )
    head = (
        Column("Score", number=False),
        Column("Better", number=False),
        *(Column(v) for v in data.versions),
    )
    return Table("all-scores", head, tuple(rows))


def date_table(data: ReportData) -> Table:
    """The headline's scores by version and as-of date."""
    columns = [score for score in HEADLINE if _has(data.scores, score)]
    columns += [score_of(level, "coverage_80") for level in (PRODUCT_WEEK, NEXT_ORDER)]
    by_date = data.scores[data.scores["as_of_date"].notna() & (data.scores["slice"] == ALL)]
    known = {
        (row["version"], f"{row['as_of_date']:%Y-%m-%d}", row["level"], row["score"]): row["value"]
        for row in by_date.to_dict("records")
    }
    keys = [(v, day) for v in data.versions for day in data.dates]
    rows = tuple(
        (
            Cell(version, version),
            Cell(day, day),
            *(_plain(m, known.get((version, day, m.level, m.name), math.nan)) for m in columns),
        )
        for version, day in keys
        if any((version, day, m.level, m.name) in known for m in columns)
    )
    head = (Column("Version", number=False), Column("As-of date", number=False))
    versions = tuple(row[0].text for row in rows)
    return Table("by-date", (*head, *map(scored_column, columns)), rows, versions)


def fits_table(fits: Sequence[ReportedFit]) -> Table:
    """Sampler diagnostics; numbers beyond their limits are marked."""
    enough = f"at least {MIN_ESS:g}"
    head = (
        Column("Version", number=False), Column("As-of dates", number=False),
        Column("Fit", "and what it knew", number=False), Column("Pairs"),
        Column("R-hat", f"at most {MAX_R_HAT}", "↓"), Column("Bulk ESS", enough, "↑"),
        Column("Tail ESS", enough, "↑"), Column("Divergences", "best: 0", "↓"),
        Column("E-BFMI", f"at least {MIN_E_BFMI}", "↑"), Column("Seconds"),
        Column("Verdict", number=False),
    )  # fmt: skip
    return Table("fits", head, tuple(map(_fit_row, fits)), tuple(fit.version for fit in fits))


def work_table(data: ReportData) -> Table:
    """What was done and what failed, by version."""
    head = (
        Column("Version", number=False), Column("Tasks"), Column("Failed tasks", "best: 0", "↓"),
        Column("Pairs scored"), Column("Product-weeks scored"),
        Column("Failed rows", "best: 0", "↓"), Column("Seconds", "of processor time, all tasks"),
    )  # fmt: skip
    rows = tuple(
        (
            Cell(w.version, w.version), number(w.tasks),
            number(w.failed_tasks, mark="bad" if w.failed_tasks else ""), number(w.pairs),
            number(w.product_weeks), number(w.failed_rows, mark="bad" if w.failed_rows else ""),
            number(w.seconds),
        )
        for w in data.work
    )  # fmt: skip
    return Table("work", head, rows, tuple(w.version for w in data.work))


def thresholds_table(frontiers: Sequence[Frontier]) -> Table:
    """What the rule chose, what it brought where it was chosen, and later."""
    head = (
        Column("Version", number=False), Column("min_orders"), Column("min_confidence"),
        Column("Chosen on", number=False), Column("Orders listed", "", "↑"),
        Column("Error", "smaller is better", "↓"), Column("Verified on", number=False),
        Column("Orders listed then", "", "↑"), Column("Error then", "smaller is better", "↓"),
        Column("Products with their own"), Column("Error then, with these", "", "↓"),
    )  # fmt: skip
    versions = tuple(one.version for one in frontiers)
    return Table("thresholds", head, tuple(map(_threshold_row, frontiers)), versions)


def _threshold_row(one: Frontier) -> tuple[Cell, ...]:
    choice = one.choice
    days = {name: tuple(map(str, getattr(choice, name))) for name in ("chosen_on", "verified_on")}
    return (
        Cell(choice.version, choice.version),
        number(choice.overall.min_orders),
        number(choice.overall.min_confidence, 2),
        _dates(days["chosen_on"]),
        *_quality(choice.chosen, choice.rule.error),
        _dates(days["verified_on"]),
        *_quality(choice.verified, choice.rule.error),
        number(len(choice.by_product)),
        _quality(choice.verified_by_product, choice.rule.error)[1],
    )


def _quality(quality: Quality | None, error: str) -> tuple[Cell, Cell]:
    if quality is None:
        return Cell("–"), Cell("–")
    wrong = number(quality.error, 1) if error == "days" else _share(quality.error)
    return _share(quality.demand_coverage), wrong


def _share(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(f"{100 * value:.1f} %", value)


def difference_digits(low: float, high: float) -> int:
    """As many digits as show two of an interval's width."""
    width = high - low
    return 4 if not width > 0 else min(6, max(0, 1 - math.floor(math.log10(width))))


def _headline_cells(data: ReportData, score: Score) -> dict[str, Cell]:
    values = _values(data.scores, score)
    cells = {v: _plain(score, values.get(v, math.nan)) for v in data.versions}
    return cells | dict(_compared(data, score))


def _compared(data: ReportData, score: Score) -> Iterator[tuple[str, Cell]]:
    """Cells of versions that were compared on this score, on the rows that all of them scored."""
    leader = None if data.comparison is None else data.comparison.leader(score.name)
    for gap in data.gaps(score):
        yield gap.version, _gap_cell(score, gap, bool(leader and gap.version in leader.level_with))


def _gap_cell(score: Score, gap: Difference, level: bool) -> Cell:
    value, low, high = gap.value, gap.low, gap.high
    text = score.format(value)
    if gap.difference == low == high == 0:
        identical = "≈ as the best" if level else "★ best"
        return Cell(text, value, (identical,), "level" if level else "best")
    if not math.isfinite(low):
        return Cell(text, value, ("too few blocks to tell",))
    digits = difference_digits(low, high)
    difference = _number(gap.difference, digits, "+")
    ends = f"{_number(low, digits)} to {_number(high, digits)}"
    below = (f"≈ {difference}" if level else difference, ends)
    return Cell(text, value, below, "level" if level else "")


def _number(value: float, digits: int, sign: str = "") -> str:
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}".replace("-", "−")


def _calibrated(score: Score, value: float) -> Cell:
    """Coverage is marked where it is within two points."""
    near = score.better == "target" and abs(value - score.target) <= 0.02
    return Cell(*_texts(score, value), mark="level" if near else "")


def _plain(score: Score, value: float) -> Cell:
    return Cell(*_texts(score, value))


def _texts(score: Score, value: float) -> tuple[str, float | None]:
    return score.format(value), value if math.isfinite(value) else None


def _fit_row(fit: ReportedFit) -> tuple[Cell, ...]:
    d = fit.diagnostics
    r_hat, bulk, tail = (_float(d.get(name)) for name in ("r_hat", "ess_bulk", "ess_tail"))
    divergences, e_bfmi = _float(d.get("divergences")), _float(d.get("e_bfmi"))
    verdict = verdict_on(fit.warnings)
    return (
        Cell(fit.version, fit.version),
        _dates(fit.dates),
        Cell(fit.fit, str(fit.as_of_date or fit.fit), (f"before {fit.as_of_date or 'unknown'}",)),
        number(fit.pairs),
        number(r_hat, 3, "bad" if r_hat > MAX_R_HAT else ""),
        number(bulk, mark="bad" if bulk < MIN_ESS else ""),
        number(tail, mark="bad" if tail < MIN_ESS else ""),
        number(divergences, mark="bad" if divergences > 0 else ""),
        number(e_bfmi, 2, "bad" if e_bfmi < MIN_E_BFMI else ""),
        number(_float(d.get("seconds"))),
        Cell(verdict, verdict, fit.warnings, "bad" if fit.warnings else "level"),
    )


def _dates(dates: Sequence[str]) -> Cell:
    """The first date, and below it the last."""
    if not dates:
        return Cell("no later dates")
    count = f"to {dates[-1]}, {len(dates)} dates"
    return Cell(dates[0], dates[0], (count,) if len(dates) > 1 else ())


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _overall(scores: pd.DataFrame, score: Score) -> pd.DataFrame:
    whole = scores["as_of_date"].isna() & (scores["slice"] == ALL)
    return scores[whole & (scores["level"] == score.level) & (scores["score"] == score.name)]


def _values(scores: pd.DataFrame, score: Score) -> dict[str, float]:
    rows = _overall(scores, score)
    return dict(zip(rows["version"], rows["value"], strict=True))


def _has(scores: pd.DataFrame, score: Score) -> bool:
    return not _overall(scores, score).empty
