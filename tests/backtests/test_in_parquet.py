"""A backtest on orders in a folder of Parquet is that on the same orders in a database file."""

from tests.backtests.conftest import backtest, of_the_run, tables
from toolkit.sources.parquet.writing import writing_to


def test_its_key_and_its_tables_are_the_same(order_file, run, tmp_path):
    folder = tmp_path / "orders"
    with writing_to(folder, lines_per_bucket=1000) as writing:
        assert len(writing.write(order_file).lines) > 3
    report = backtest(of_the_run(), folder, tmp_path)
    assert report.folder.name == run.path.name  # the key is of what the orders hold
    assert tables(report.folder) == tables(run.path) != {}
