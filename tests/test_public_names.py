"""The public names: pinned, importable, and all that the documents use."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import backtests
import toolkit

ROOT = Path(__file__).parents[1]
TOOLKIT = """
    ArgumentError CacheError CalendarModel Change ChangedOrder Codes CustomerForecast
    CustomerPrediction CustomerProductPattern DEMO_AS_OF DataError ExplainingModel Explanation
    ExportSettings FitSettings FittedModel ForecastEngine ForecastReader ModelError ModelVersion
    OrderMapping Patterns PortfolioForecast PredictionError Predictions ProductForecast
    PromotionRefusedError QUANTILES Quarantine RedrawingModel ReplenishmentPlan
    ReplenishmentPolicy SQL_SERVER_SESSION Scenario ScenarioComparison SourceError SplittingModel
    Stock Streams
    ThresholdSensitivity ToolkitError TrackingError Truth attach_thresholds check_database
    embedded_server export_feed export_release find_model generate_orders history import_folder
    import_orders last_order_day load_fit load_orders on_workers open_database open_store
    plan_replenishment promote read_scenarios read_stock register_fit roll_back save_fit
    weekly_quantities write_demo_orders write_parquet
"""
BACKTESTS = """
    Comparison Experiment Gate ReplayReport RunFolder ThresholdChoice ThresholdRule choose_for_all
    choose_thresholds compare_versions count_listed frontier parse_experiment patterns_before
    read_experiment replay_dates run_at run_backtest run_replay track
    upload_run write_report
"""
DEEP = re.compile(r"from (?:toolkit|backtests)\.\S+ import .*")
"""An import from a room, which may move."""


@pytest.mark.parametrize(("package", "names"), [(toolkit, TOOLKIT), (backtests, BACKTESTS)])
def test_public_names_are_pinned_and_can_be_imported(package, names):
    assert sorted(package.__all__) == sorted(names.split())
    for name in package.__all__:
        assert getattr(package, name).__doc__ or isinstance(getattr(package, name), tuple)


def test_importing_the_toolkit_imports_next_to_nothing_of_it():
    code = (
        "import sys, toolkit, backtests; print(sorted(m for m in sys.modules if 'toolkit.' in m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['toolkit.errors', 'toolkit.installed']"


def test_a_reader_is_imported_without_pydantic():
    code = "import sys; from toolkit import ForecastReader; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_documents_import_public_names_only():
    files = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    found = {f"{file.name}: {match}" for file in files for match in DEEP.findall(_code(file))}
    assert found == set()


def _code(file: Path) -> str:
    """A document's text; of a notebook, its cells."""
    if file.suffix != ".ipynb":
        return file.read_text()
    cells = json.loads(file.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells)
