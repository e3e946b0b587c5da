"""The command, and what the page says of runs that lack something."""

import json
import os
import shutil
import time
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

from backtests.compare.comparison import kept_comparison
from backtests.report import data as gathering
from backtests.report import page, sections
from backtests.report.data import gather
from backtests.report.tables import fits_table, headline_table
from backtests.run.folder import RunFolder
from backtests.thresholds.choice import KeptChoices
from tests.backtests.report.conftest import FIT, HOSTILE, LABEL, WARNING
from toolkit.cli.app import app
from toolkit.errors import ArgumentError, ToolkitError
from toolkit.stages.listing import Thresholds
from toolkit.validation import write


@pytest.fixture(scope="module")
def data(hostile_run):
    return gather(hostile_run)


def test_the_command_writes_the_page_and_says_where(hostile_run, tmp_path, monkeypatch):
    from backtests.cli.backtest import register  # noqa: PLC0415 - adds commands to the one app

    register(app)
    out = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["report", str(hostile_run.path), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said == {"report": str(out), "bytes": out.stat().st_size, "products": 12}


def test_a_folder_without_a_run_is_refused(tmp_path, run):
    with pytest.raises(ArgumentError, match="not the folder of a backtest"):
        page.write_report(tmp_path)
    (tmp_path / "run.json").write_text((run.path / "run.json").read_text())
    with pytest.raises(ArgumentError, match="holds no finished task"):
        page.write_report(tmp_path)


def test_a_folder_that_says_something_else_is_refused_with_the_way_to_another(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    content = json.loads((folder / "run.json").read_text())
    content["experiment"]["versions"][1]["label"] = HOSTILE
    del content["seed"]
    (folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(ArgumentError) as told:
        page.write_report(folder)
    assert str(told.value) == (
        f"{folder / 'run.json'} is not the description of a backtest: "
        "experiment.versions[2].label: "
        f"has to be letters, digits, '_', '-', '.', got {HOSTILE!r}; seed: is missing; "
        "`toolkit backtest` makes the run anew"
    )
    (folder / "comparison.json").write_text('{"versions": [')
    with pytest.raises(ArgumentError, match="is not the comparison of a run: Invalid JSON: EOF"):
        kept_comparison(folder / "comparison.json")


def test_a_page_that_is_too_large_is_not_written(hostile_run, data, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "gather", lambda run, database: data)
    monkeypatch.setattr(page, "MOST_BYTES", 1_000_000)
    with pytest.raises(ToolkitError, match=r"over 1,000,000"):
        page.write_report(hostile_run.path, out=tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_products_that_do_not_fit_are_left_out_in_turn(data):
    size = len(page.embedded(page.numbers(data.products[0])))
    assert page.affordable(data.products, 10**9) == data.products
    held = page.affordable(data.products, int(2.5 * size))
    assert 0 < len(held) < len(data.products)
    assert page.affordable(data.products, -1) == ()


def test_the_headline_has_the_scores_of_the_summary(data):
    table = headline_table(data)
    titles = [column.title for column in table.columns]
    assert titles[:2] == ["Version", "Weighted quantile loss of weeks"]
    scores = data.scores
    overall = scores[scores["as_of_date"].isna() & (scores["slice"] == "all")]
    known = overall[overall["score"] == "weighted_quantile_loss"].set_index("version")["value"]
    cells = {row[0].text: row[1] for row in table.rows}
    assert cells.keys() == {"pair_conjugate", LABEL}
    value = {gap.version: gap.value for gap in data.comparison.gaps("weighted_quantile_loss")}
    assert cells[LABEL].sort == value[LABEL] == pytest.approx(known[LABEL], rel=0.2)
    assert sum(cell.mark in {"best", "level"} for cell in cells.values()) >= 1


def test_the_best_on_each_score_are_drawn_first(data):
    versions = tuple("abcdefghij")
    values = {("product_week", "weighted_quantile_loss"): "jihgfedcba", ("pair", "log_loss"): "cab"}
    rows = [
        {"level": level, "score": score, "version": version, "value": float(place),
         "as_of_date": pd.NaT, "slice": "all"}
        for (level, score), order in values.items()
        for place, version in enumerate(order)
    ]  # fmt: skip
    many = replace(data, versions=versions, scores=pd.DataFrame(rows))
    assert page.shown_versions(many) == tuple("abcfghij")  # j c, i a, h b, g, f
    none = replace(many, scores=many.scores[:0])
    assert page.shown_versions(none) == versions[:8]
    few = replace(many, versions=versions[:8])
    assert page.shown_versions(few) == few.versions


def test_the_fit_of_a_version_is_told_with_its_dates(data):
    (fit,) = data.fits
    assert (fit.version, fit.fit, fit.pairs, fit.dates) == (LABEL, FIT, 321, data.dates)
    row = fits_table(data.fits).rows[0]
    assert [cell.text for cell in row if cell.mark == "bad"] == ["1.052", "399", "not converged"]
    assert row[-1].below == (WARNING,)


def test_arviz_draws_what_the_fit_learned(data, hostile_run):
    (drawing,) = sections.population_drawings(data, hostile_run.fits, sections.styles_of(data))
    texts = {str(text) for trace in drawing.figure["data"] for text in trace.get("text", ())}
    assert {"shape", "scale"} <= texts
    assert drawing.version == LABEL


def test_what_was_stored_is_used_as_long_as_it_is_current(hostile_run, data, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(hostile_run.path, folder)
    choice = replace(data.frontiers[0].choice, overall=Thresholds(3, 0.2))
    write(folder / "thresholds.json", KeptChoices((choice,)))
    write(folder / "comparison.json", replace(data.comparison, notes=("stored",)))
    run = RunFolder(folder)
    assert gathering._choices(run) == (choice,)
    assert gathering._comparison(run).notes == ("stored",)
    later = time.time() + 10
    os.utime(run.task_folders()[0], (later, later))  # as by a task that was done anew
    assert gathering._choices(run) == ()
    assert gathering._comparison(run) == data.comparison


def test_a_run_of_one_version_has_nothing_to_compare(run, tmp_path):
    folder = tmp_path / "alone"
    shutil.copytree(run.path, folder)
    meta = json.loads((folder / "run.json").read_text())
    meta["experiment"]["versions"] = meta["experiment"]["versions"][:1]
    meta["database"] = "/nowhere/orders.duckdb"
    (folder / "run.json").write_text(json.dumps(meta))
    scores = pd.read_parquet(folder / "scores.parquet")
    scores[scores["version"] == "pair_conjugate"].to_parquet(folder / "scores.parquet")
    data = gather(RunFolder(folder))
    assert data.comparison is None
    assert "there is no database" in data.names_problem
    html = page.render(data, data.products, folder / "fits")
    assert "There is nothing to compare" in html
    assert "No version of this run was fitted by sampling" in html
    assert "Names and weeks before the date are missing" in html
    assert "Nothing failed." in html
    assert "★" not in html.split("<tbody>")[1].split("</tbody>")[0]
