"""Models that misbehave, found through entry points as any other, also in worker processes."""

import hashlib
import json
import os
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from models.pair_conjugate import PairConjugate
from toolkit.errors import ModelError
from toolkit.model import GRANULARITIES
from toolkit.sources.embedded.database import open_database
from toolkit.sources.sql import as_source

DATABASE = "PLANTED_DATABASE"
ENTRY_POINTS = """[toolkit.models]
looks_ahead = tests.backtests.planted:LOOKS_AHEAD
records = tests.backtests.planted:RECORDS
fails = tests.backtests.planted:FAILS
dies = tests.backtests.planted:DIES
fails_to_fit = tests.backtests.planted:FAILS_TO_FIT
pairs_only = tests.backtests.planted:PAIRS_ONLY
products_only = tests.backtests.planted:PRODUCTS_ONLY
learns = tests.backtests.planted:LEARNS
"""


def plant(folder: Path) -> None:
    """Make ``folder``, once it is on the path, offer the models."""
    info = folder / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)


@dataclass(frozen=True)
class Planted(PairConjugate):
    """``pair_conjugate`` under another name."""

    planted_as: str = "planted"

    @property
    def name(self):
        return self.planted_as

    @property
    def version(self):
        return "1"


class LooksAhead(Planted):
    """Raises what it expects of every pair of a product by what the product sells later."""

    def predict(self, patterns, *, weeks, draws, streams):
        said = super().predict(patterns, weeks=weeks, draws=draws, streams=streams)
        with open_database(os.environ[DATABASE]) as conn:
            later = as_source(conn).order_events(patterns.as_of_date.replace(year=9999))
        ids = patterns.product_id
        count = np.bincount(np.searchsorted(np.unique(later.product_id), later.product_id))
        factor = count[np.searchsorted(np.unique(later.product_id), ids)] / 100
        expected = said.pairs.expected_orders * factor[:, None]
        return replace(said, pairs=replace(said.pairs, expected_orders=expected))


class Records(Planted):
    """Says nothing but a number that any bit of what it is shown decides."""

    reads_customer_days: ClassVar[bool] = True

    def predict(self, patterns, *, weeks, draws, streams):
        said = super().predict(patterns, weeks=weeks, draws=draws, streams=streams)
        number = int(hashlib.sha256(bytes_of(patterns)).hexdigest()[:6], 16)
        expected = np.full_like(said.pairs.expected_orders, number)
        return replace(said, pairs=replace(said.pairs, expected_orders=expected))


class Fails(Planted):
    def predict(self, patterns, *, weeks, draws, streams):
        raise ValueError("planted failure")


class Dies(Planted):
    """Takes its process with it on the shard of the first product."""

    def predict(self, patterns, *, weeks, draws, streams):
        if patterns.product_id[0] == 1:
            os._exit(9)
        return super().predict(patterns, weeks=weeks, draws=draws, streams=streams)


class PairsOnly(Planted):
    granularities = ("pairs",)

    def predict(self, patterns, *, weeks, draws, streams):
        said = super().predict(patterns, weeks=weeks, draws=draws, streams=streams)
        nothing = np.full_like(said.products.quantity, np.nan)
        alive = said.pairs.p_alive.copy()
        alive[0] = np.nan  # it may leave out what it does not know
        products = replace(said.products, quantity=nothing)
        return replace(said, products=products, pairs=replace(said.pairs, p_alive=alive))


class ProductsOnly(Planted):
    """Has no number for the first product of each shard."""

    granularities = ("products",)

    def predict(self, patterns, *, weeks, draws, streams):
        said = super().predict(patterns, weeks=weeks, draws=draws, streams=streams)
        quantity = said.products.quantity.copy()
        quantity[0, 0, 0] = np.nan
        nothing = np.full_like(said.pairs.p_order_by_week, np.nan)
        pairs = replace(said.pairs, p_order_by_week=nothing)
        return replace(said, pairs=pairs, products=replace(said.products, quantity=quantity))


class FailsToFit:
    name = "fails_to_fit"
    reads_customer_days = False
    granularities = GRANULARITIES

    def fit(self, patterns, *, seed, settings=None, progress=None):
        raise ModelError("planted failure to fit")

    def load(self, folder):
        raise ModelError("there is nothing to load")


@dataclass(frozen=True)
class Learnt(Planted):
    """Knows the day on which it was fitted, and to how many pairs."""

    fitted_on: str = ""
    pairs: int = 0

    @property
    def version(self):
        return f"{self.fitted_on}-{self.pairs}"

    def save(self, folder):
        card = {"as_of_date": self.fitted_on, "pairs": self.pairs, "diagnostics": {"r_hat": 1.0}}
        (folder / "card.json").write_text(json.dumps(card))


class Learns:
    name = "learns"
    reads_customer_days = False
    granularities = GRANULARITIES

    def fit(self, patterns, *, seed, settings, progress):
        return Learnt(
            planted_as="learns",
            fitted_on=str(patterns.as_of_date),
            pairs=settings.pairs or len(patterns),
        )

    def load(self, folder):
        card = json.loads((folder / "card.json").read_text())
        return Learnt(planted_as="learns", fitted_on=card["as_of_date"], pairs=card["pairs"])


def bytes_of(table) -> bytes:
    if is_dataclass(table):
        return b"".join(bytes_of(getattr(table, field.name)) for field in fields(table))
    return table.tobytes() if isinstance(table, np.ndarray) else repr(table).encode()


LOOKS_AHEAD = LooksAhead(planted_as="looks_ahead")
RECORDS = Records(planted_as="records")
FAILS = Fails(planted_as="fails")
DIES = Dies(planted_as="dies")
PAIRS_ONLY = PairsOnly(planted_as="pairs_only")
PRODUCTS_ONLY = ProductsOnly(planted_as="products_only")
FAILS_TO_FIT = FailsToFit()
LEARNS = Learns()
