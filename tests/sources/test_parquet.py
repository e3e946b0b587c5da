"""Orders in a folder of Parquet: the same answers, from the fewest files, whole at any moment."""

import json
import shutil
from datetime import date, timedelta

import numpy as np
import pytest

from tests.conftest import AS_OF, NOON
from tests.processes import error_of, run
from tests.sources.conftest import LINES_PER_BUCKET
from tests.sources.helpers import assert_same_events, edit
from toolkit.data.fingerprint import Fingerprint
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, SourceError
from toolkit.sources.codes import Codes
from toolkit.sources.embedded.checks import check_database
from toolkit.sources.embedded.database import open_database
from toolkit.sources.folder.importer import import_folder, import_orders
from toolkit.sources.folder.mapping import OrderMapping
from toolkit.sources.open import file_address, open_source
from toolkit.sources.parquet.manifest import MANIFEST, first_ids, parse_manifest
from toolkit.sources.parquet.place import Folder, read_manifest
from toolkit.sources.parquet.writing import write_parquet, writing_to
from toolkit.sources.sql import all_names, as_source, last_order_day, weekly_quantities
from toolkit.stages.patterns import patterns_in_parts, read_patterns


@pytest.fixture
def parquet(written, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(written, tmp_path / "parquet")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "in-parquet"


def manifest_of(folder):
    return read_manifest(Folder(folder))


def sha256_of(database):
    with open_database(database) as conn:
        source = as_source(conn)
        return Fingerprint.of(source.order_events(last_order_day(source))).sha256


def imported(folder, to, **options):
    """As the command imports: into a database by the way."""
    with writing_to(to, **options) as writing:
        import_folder(folder, writing.room / "orders.duckdb")
        return writing.write(writing.room / "orders.duckdb")


def test_lines_lie_in_runs_of_whole_products_and_of_customers(written, orders):
    manifest = manifest_of(written)
    assert manifest.order_lines == len(orders.order_lines)
    for parts, column in ((manifest.lines, "product_id"), (manifest.customers, "customer_id")):
        ids, counts = np.unique(orders.order_lines[column], return_counts=True)
        firsts = [part.first_id for part in parts]
        assert firsts == first_ids(ids, counts, LINES_PER_BUCKET)
        assert len(firsts) > 3
        lines = np.split(counts, np.searchsorted(ids, firsts[1:]))
        assert [part.rows for part in parts] == [sum(run) for run in lines]
    assert all((written / part.path).stat().st_size == part.bytes for part in manifest.files)


@pytest.mark.parametrize(
    ("ids", "lines", "firsts"),
    [
        ([3, 5, 8, 9], [4, 1, 2, 3], [3, 8]),
        ([1, 2, 3], [1, 100, 1], [1, 3]),
        ([-7], [1], [-7]),
        ([], [], [0]),
    ],
)
def test_buckets_are_about_equal_and_cut_no_product(ids, lines, firsts):
    assert first_ids(np.array(ids, np.int64), np.array(lines, np.int64), 5) == firsts


def test_answers_are_those_of_the_database(file, written, orders):
    products = orders.products.product_id.tolist()
    customers = orders.customers.customer_id.tolist()
    with open_database(file) as one, open_database(written) as other:
        mine, its = as_source(one), as_source(other)
        for as_of in (AS_OF, date(2021, 6, 1), date(1999, 1, 1)):
            for ids in (None, products, products[:1], [*products[-2:], 10**9, -1]):
                assert_same_events(mine.order_events(as_of, ids), its.order_events(as_of, ids))
            for ids in (customers, customers[7:9], [10**9]):
                days = [source.customer_days(as_of, ids) for source in (mine, its)]
                for name in ("customer_id", "day", "products"):
                    np.testing.assert_array_equal(*(getattr(one, name) for one in days))
                assert mine.ordered_products(as_of, ids) == its.ordered_products(as_of, ids)
            assert mine.products(as_of, products) == its.products(as_of, products)
        assert mine.customer_names(customers) == its.customer_names(customers)
        assert all_names(mine, "product") == all_names(its, "product")
        assert last_order_day(mine) == last_order_day(its)
        start = last_order_day(mine) - timedelta(60)
        weeks = [weekly_quantities(source, products[3], start, 8) for source in (mine, its)]
        assert weeks[0] == weeks[1] != [0.0] * 8


def test_forecasts_are_those_of_the_database(file, written, orders):
    products = orders.products.product_id.tolist()
    customer = orders.customers.customer_id.tolist()[3]
    made = []
    for database in (file, written):
        with open_database(database) as conn:
            engine = ForecastEngine(conn, clock=lambda: NOON)
            forecasts = engine.generate_forecasts(products, AS_OF).values()
            of_customer = engine.forecast_customer(customer, AS_OF)
            made.append([json.dumps(one.to_dict()) for one in (*forecasts, of_customer)])
    assert made[0] == made[1]
    assert len(made[0]) == len(products) + 1


def test_a_question_reads_only_the_buckets_that_hold_its_ids(file, parquet):
    """All the other files are gone."""
    manifest = manifest_of(parquet)
    lines, customers = manifest.lines[1], manifest.customers[2]
    for part in (*manifest.lines, *manifest.customers):
        if part not in (lines, customers):
            (parquet / part.path).unlink()
    product, customer = lines.first_id, customers.first_id
    with open_database(file) as one, open_database(parquet) as other:
        mine, its = as_source(one), as_source(other)
        events = its.order_events(AS_OF, [product])
        assert_same_events(mine.order_events(AS_OF, [product]), events)
        assert its.products(AS_OF, [product]) == mine.products(AS_OF, [product])
        found = its.ordered_products(AS_OF, [customer])
        assert found == mine.ordered_products(AS_OF, [customer])
        missing = (
            rf"^ordered products could not be read: .*{manifest.lines[0].path} is missing, and"
        )
        with pytest.raises(SourceError, match=missing):
            its.order_events(AS_OF)


@pytest.mark.parametrize("customer_days", [False, True])
def test_patterns_in_parts_are_those_of_all(file, written, customer_days):
    with open_database(file) as one, open_database(written) as other:
        whole, _ = read_patterns(as_source(one), AS_OF, customer_days)
        parts = [
            patterns for patterns, _ in patterns_in_parts(as_source(other), AS_OF, customer_days)
        ]
    assert len(parts) == len(manifest_of(written).lines)
    for column in ("product_id", "customer_id", "order_count"):
        joined = np.concatenate([getattr(part, column) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, column))
    if customer_days:
        for part in parts:
            for column in ("customer_id", "day", "products"):
                np.testing.assert_array_equal(
                    getattr(part.customer_days, column), getattr(whole.customer_days, column)
                )


def test_what_else_a_database_holds_comes_along(tmp_path, target):
    """Codes, categories, the time zone, and replaced products."""
    lines = tmp_path / "lines.csv"
    lines.write_text(
        "customer,sku,category,date,quantity,price\n"
        "A,OLD,cups,2024-01-01,2,5\nA,OLD,cups,2024-01-15,2,5\nB,NEW,,2024-02-20,3,6\n"
    )
    replaces = tmp_path / "replaces.csv"
    replaces.write_text("old_product,new_product,date\nOLD,NEW,2024-02-01\n")
    mapping = OrderMapping(timezone="Pacific/Auckland", replaces=str(replaces))
    database = tmp_path / "orders.duckdb"
    import_orders(lines, database, mapping)
    write_parquet(database, target)
    said = []
    for path in (database, target):
        with open_source(file_address(path)) as orders:
            new = orders.codes.number("product", "NEW")
            events = orders.source.order_events(date(2024, 3, 1), [new])
            parts = orders.source.product_parts(date(2024, 3, 1))
            said.append((orders.source.categories(), orders.source.replacements(), len(events)))
            assert parts == [None]
            assert orders.source.today() is not None
        with open_database(path) as conn:
            assert conn.execute("SELECT Name FROM dbo.TimeZone").fetchall() == [
                ("Pacific/Auckland",)
            ]
    assert said[0] == said[1]
    assert said[0][2] == 3


def test_a_product_without_orders_of_its_own_is_in_the_parts_with_those_it_inherited(
    folder, tmp_path, target
):
    replaces = tmp_path / "replaces.csv"
    replaces.write_text("old_product,new_product,date\n2,1,2024-01-10\n")
    import_orders(folder, tmp_path / "o.duckdb", OrderMapping(replaces=str(replaces)))
    with writing_to(target, 1) as writing:
        writing.write(tmp_path / "o.duckdb")
    with open_database(target) as conn:
        source = as_source(conn)
        assert source.product_parts(date(2024, 3, 1)) == [[1]]
        assert source.product_parts(date(2024, 1, 5)) == [[1], [2]]


def test_the_order_of_lines_leaves_no_trace(orders, tmp_path):
    hashes = []
    for seed in (1, 2):
        folder = tmp_path / f"orders-{seed}"
        folder.mkdir()
        shuffled = orders.order_lines.sample(frac=1, random_state=seed)
        shuffled.to_parquet(folder / "order_lines.parquet")
        orders.products.to_parquet(folder / "products.parquet")
        orders.customers.to_parquet(folder / "customers.parquet")
        manifest = imported(folder, tmp_path / f"parquet-{seed}", lines_per_bucket=900)
        hashes.append([part.sha256 for part in manifest.files])
    assert hashes[0] == hashes[1]


def test_an_import_replaces_what_is_there_and_readers_go_on(folder, target):
    imported(folder, target)
    with open_database(target) as before:
        old = sha256_of(target)
        edit(folder, "order_lines", "2024-01-05,4", "2024-01-05,40")
        imported(folder, target)
        source = as_source(before)
        assert Fingerprint.of(source.order_events(last_order_day(source))).sha256 == old
        assert sha256_of(target) != old
        imported(folder, target)
        with pytest.raises(SourceError, match="imported anew meanwhile: open them again"):
            source.order_events(date(2024, 3, 1))
    listed = {path.name for path in target.iterdir()}
    assert len([name for name in listed if name.startswith("parts-")]) == 2
    assert {name for name in listed if not name.startswith("parts-")} <= {MANIFEST, ".lock"}


def test_a_failed_import_leaves_the_old_orders(folder, target):
    imported(folder, target)
    old = sha256_of(target)
    edit(folder, "order_lines", "2024-01-05,4", "2024-01-05,many")
    with pytest.raises(Exception, match="breaks 1 rule"):
        imported(folder, target)
    assert sha256_of(target) == old


def test_two_imports_at_a_time_are_refused(folder, target):
    with writing_to(target), pytest.raises(SourceError, match=r"another import into .* is at work"):
        imported(folder, target)


def test_where_no_orders_may_be_written(folder, target, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for place, said in (
        (tmp_path / "file", "is a file; name a folder"),
        (tmp_path / "mine", "holds other files, and no manifest.json"),
        (tmp_path / "no" / "such", "there is no folder"),
        (tmp_path / "all*", r"must hold none of \* \? \[ \]"),
    ):
        with pytest.raises(SourceError, match=said):
            imported(folder, place)
    target.mkdir()
    with pytest.raises(SourceError, match=r"refused to replace what is there: .* is a folder"):
        import_folder(folder, target)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "holds no manifest.json: it is no folder that `toolkit import --to` wrote"),
        ("{", "is no JSON"),
        ("[]", "is no manifest of orders in Parquet"),
        ('{"format": 99}', "is written in format 99, and this version of the toolkit reads format"),
        ('{"format": 1}', "cannot be used: .* is missing"),
    ],
)
def test_a_folder_that_cannot_be_read_is_named(parquet, content, said):
    if content is None:
        (parquet / MANIFEST).unlink()
    else:
        (parquet / MANIFEST).write_text(content)
    with pytest.raises(SourceError, match=said):
        open_database(parquet)


def test_a_part_that_was_cut_short_is_named(parquet):
    part = manifest_of(parquet).lines[0]
    with (parquet / part.path).open("r+b") as file:
        file.truncate(part.bytes // 2)
    with open_database(parquet) as conn:
        said = f"{part.path} has {part.bytes // 2:,} bytes of {part.bytes:,}; import"
        with pytest.raises(SourceError, match=said):
            as_source(conn).order_events(AS_OF)
        found = check_database(conn)
    assert [str(finding) for finding in found.fatal] == [f"{part.path}: is not as it was written"]
    assert "rows" not in str(found)


def test_a_table_that_is_missing_is_named(parquet):
    path = manifest_of(parquet).tables["Product"].path
    (parquet / path).unlink()
    with pytest.raises(SourceError, match=f"could not be opened: .*{path} is missing; import"):
        open_database(parquet)


def test_a_folder_is_checked_as_a_database_is(file, written):
    with open_database(file) as one, open_database(written) as other:
        mine, its = check_database(one), check_database(other)
    assert its.ok
    assert (its.first_date, its.last_date) == (mine.first_date, mine.last_date)
    assert its.rows == mine.rows


def test_a_folder_is_only_read(written):
    with pytest.raises(SourceError, match="which is only read"):
        open_database(written, read_only=False)


def test_a_manifest_is_what_it_was(written):
    manifest = manifest_of(written)
    assert parse_manifest((written / MANIFEST).read_bytes(), "here") == manifest
    assert manifest.made_at.tzinfo is not None


@pytest.mark.slow
def test_the_command_writes_a_folder_that_others_read(folder, tmp_path):
    done = run("import", folder, "--to", "parquet", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["database"], said["folder"], said["lines"]) == (None, "parquet", 4)
    assert not list(tmp_path.glob("*.duckdb"))
    both = run("import", folder, "--db", "o.duckdb", "--to", "both", cwd=tmp_path)
    assert both.stdout.startswith("Imported into o.duckdb and both: 4 order lines")
    asked = ("forecast", "1", "--as-of", "last", "--json", "--db")
    answers = [run(*asked, db, cwd=tmp_path).stdout for db in ("parquet", "both", "o.duckdb")]
    timeless = [json.loads(answer) | {"model_metadata": None} for answer in answers]
    assert timeless[0] == timeless[1] == timeless[2]
    assert run("check", "--db", "parquet", cwd=tmp_path).returncode == 0
    tried = run("import", folder, "--to", "tried", "--dry-run", cwd=tmp_path)
    assert "Would be imported: 4 order lines" in tried.stdout
    assert not (tmp_path / "tried").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("forecast", "1", "--db", "nowhere"), "there is no database nowhere"),
        (("forecast", "1", "--db", "."), "holds no manifest.json"),
        (("import", "orders"), "--db or --to has to be given"),
        (("import", "orders", "--to", "no/such"), "there is no folder no to write such to"),
    ],
)
def test_the_command_says_what_is_wrong(folder, tmp_path, arguments, said):
    assert folder.name == "orders"
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in error_of(done)


def test_an_address_of_a_folder(written, monkeypatch):
    monkeypatch.chdir(written.parent)
    assert file_address(written).startswith("parquet:////")
    with open_source("parquet:///parquet") as opened:
        assert opened.codes == Codes()
    with (
        pytest.raises(ArgumentError, match="address is parquet:///FOLDER"),
        open_source("parquet://x"),
    ):
        pass
