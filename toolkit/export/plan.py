"""What an export is going to do, decided before anything is computed or written."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Literal

import numpy as np

from toolkit.cache.envelope import FORMAT
from toolkit.cache.names import ComputedWith, KeyScalar, digest
from toolkit.cache.releases.catalog import Release, ReleaseSpec
from toolkit.cache.ttl import RELEASE_TTL_S
from toolkit.data.fingerprint import Fingerprint
from toolkit.data.tables import OrderEvents
from toolkit.engine import ForecastEngine
from toolkit.errors import ArgumentError, PredictionError
from toolkit.export.cascade import products_touched
from toolkit.export.changes import ChangedOrder, check_changes
from toolkit.export.inputs import inputs_digest
from toolkit.export.touched import touched_products
from toolkit.sources.base import OrderSource, in_product_parts, replacements_of
from toolkit.stages.arguments import check_ids, check_share, check_whole
from toolkit.stages.listing import Thresholds

LAST: Literal["last"] = "last"
DATA = "data_sha256"
REPLACED = "replaced_sha256"
SHOWN = 5


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What to export. Raises ``ArgumentError`` for what makes no sense.

    ``product_ids``: these only, in place of every product with an order before ``as_of_date``.
    ``since``: only products whose orders changed since that date, by an order or a return, are
    computed; all others keep what the current release says of them. ``LAST`` stands for that
    release's as-of date, or for all products if nothing of it can be kept. ``customer_ids``: only
    products that these customers ordered are computed, beside those of ``since``: for orders that
    were entered late, or corrected. ``changed``: only what these orders touch is computed, beside
    those: their products, and all of a customer who ordered otherwise than expected
    (``cascade.py``); or all products if nothing of the current release can be kept. ``ttl_s``:
    seconds that the forecasts stay. ``allowed_errors``: the share of the products, 0 to 1, that may
    be missing from the release because they failed. ``keep``: so many releases before this one stay
    for a rollback.
    ``shrink``: the release may serve fewer products than the current one. ``earlier``: it may be
    as of an earlier date than the current one. ``by_hand``: an engine without a registered version
    may follow a release of one.
    """

    as_of_date: date
    product_ids: Sequence[int] | None = None
    since: date | Literal["last"] | None = None
    customer_ids: Sequence[int] | None = None
    changed: Sequence[ChangedOrder] | None = None
    ttl_s: int = RELEASE_TTL_S
    allowed_errors: float = 0.0
    keep: int = 2
    shrink: bool = False
    earlier: bool = False
    by_hand: bool = False

    def __post_init__(self) -> None:
        """Check each of them."""
        check_whole("ttl", self.ttl_s, 1)
        check_share("allowed_errors", self.allowed_errors)
        check_whole("keep", self.keep, 1)
        if self.product_ids is not None and not check_ids("product_id", self.product_ids):
            raise ArgumentError("products to export have to be named, or all of them, got none")
        if self.customer_ids is not None and not check_ids("customer_id", self.customer_ids):
            raise ArgumentError("customers whose orders changed have to be named, got none")
        check_changes(self.changed or (), self.as_of_date)
        if isinstance(self.since, date) and self.since >= self.as_of_date:
            raise ArgumentError(
                f"since has to be before the as-of date {self.as_of_date}, got {self.since}"
            )

    @property
    def keeps_some(self) -> bool:
        """Whether only some products are computed, and others keep their forecast."""
        asked = self.since, self.customer_ids, self.changed
        return any(one is not None for one in asked)

    @property
    def changes_nothing(self) -> bool:
        """Whether it was asked for what changed orders touch, and there are none."""
        return self.changed is not None and not (self.changed or self.since or self.customer_ids)


type Dates = Callable[[Iterable[int]], Mapping[int, date]]
"""As of which date readers have the forecasts of some products."""


def make_plan(
    engine: ForecastEngine, current: Release | None, settings: ExportSettings, dates: Dates
) -> ReleaseSpec:
    """The release to make: products, with what they are computed, what is kept of ``current``.

    ``dates`` tells of its forecasts as of which date they are.
    Raises ``ArgumentError`` for products that do not exist, for a ``since`` that ``current`` does
    not reach, and for a release that would serve less than ``current`` without ``shrink``, or go
    back behind its date without ``earlier``; ``PredictionError`` if nothing was ordered before the
    date, or if the engine has no registered version while ``current`` is of one, unless that is
    done ``by_hand``.
    """
    _refuse_to_lose_the_champion(engine, current, settings)
    refuse_to_go_back(current, settings)
    as_of, asked = settings.as_of_date, settings.product_ids
    orders = _Orders.of(engine.source, as_of, asked)
    ids = orders.product_ids
    if asked is not None:
        ids = _existing(engine, set(asked), ids, as_of)
    elif current is not None and not settings.shrink:
        ids = _served(engine, set(current.product_ids), ids, as_of)
    if orders.data is None:
        raise PredictionError(f"there is no order before {as_of} to export forecasts from")
    _refuse_to_shrink(current, ids, settings)
    computed_with = _computed_with(engine, as_of, orders.data)
    carried = _carried(engine, current, computed_with, orders, settings, dates) & set(ids)
    computed = [i for i in ids if i not in carried]
    return ReleaseSpec(
        as_of_date=as_of,
        computed_with=computed_with,
        product_ids=ids,
        ttl_s=settings.ttl_s,
        carried=sorted(carried),
        base=None if current is None else current.release_id,
        details=_details(engine, computed_with, as_of),
        inputs=inputs_digest(
            engine, as_of, computed, orders.customer_ids, all_events=asked is None
        ),
    )


@dataclass(frozen=True, slots=True)
class _Orders:
    """The orders before a date: of which products and customers, and a digest, None where there
    are none.

    ``runs`` of products lie in parts of the data, and are read one at a time; ``whole`` are the
    order events where there is one run.
    """

    as_of_date: date
    runs: Sequence[Sequence[int] | None]
    product_ids: list[int]
    customer_ids: list[int]
    data: str | None
    whole: OrderEvents | None

    @classmethod
    def of(cls, source: OrderSource, as_of: date, asked: Sequence[int] | None) -> "_Orders":
        """Those of the products that are ``asked`` for; None: of all."""
        runs = [sorted(set(asked))] if asked is not None else in_product_parts(source, as_of)
        whole = source.order_events(as_of, runs[0]) if len(runs) == 1 else None
        found: list[int] = []
        customers: set[int] = set()

        def read() -> Iterator[OrderEvents]:
            for run in runs:
                events = source.order_events(as_of, run) if whole is None else whole
                found.extend(np.unique(events.product_id).tolist())
                customers.update(np.unique(events.customer_id).tolist())
                if len(events):
                    yield events

        tables = read()
        first = next(tables, None)
        data = None if first is None else Fingerprint.of_parts(chain([first], tables)).sha256
        return cls(as_of, runs, found, sorted(customers), data, whole)

    def touched_since(self, source: OrderSource, since: date) -> frozenset[int]:
        """The products whose orders changed between the dates."""
        touched: set[int] = set()
        for run in self.runs:
            now = self.whole
            if now is None:
                now = source.order_events(self.as_of_date, run)
            touched |= {*touched_products(source.order_events(since, run), now).tolist()}
        return frozenset(touched)


def _existing(
    engine: ForecastEngine, asked: set[int], ordered: list[int], as_of: date
) -> list[int]:
    """All that were asked for: one that nobody has ordered yet has nothing to forecast."""
    silent = sorted(asked - set(ordered))
    unknown = sorted(set(silent) - engine.source.products(as_of, silent).keys()) if silent else []
    if unknown:
        raise ArgumentError(f"the database has no {_some(unknown)}")
    return sorted(asked)


def _served(engine: ForecastEngine, served: set[int], ordered: list[int], as_of: date) -> list[int]:
    """Those ordered, and those that readers have and of which no order is left: all came back.

    Their lines tell that they were ordered, by a price. Where lines are gone it is none of them.
    """
    silent = sorted(served - set(ordered))
    known = engine.source.products(as_of, silent) if silent else {}
    returned = [product for product, info in known.items() if info.unit_price is not None]
    return sorted([*ordered, *returned])


def _refuse_to_lose_the_champion(
    engine: ForecastEngine, current: Release | None, settings: ExportSettings
) -> None:
    """A store that is missing, empty or another one must not change what production says."""
    number = None if current is None else current.details.get("registered_version")
    if engine.registered is None and number is not None and not settings.by_hand:
        raise PredictionError(
            f"readers have forecasts by the registered version {number}, and the store has no "
            "champion: is it the right one, in the right folder (--store)? `--version "
            f"{engine.predictor.model.name}` publishes this model by hand; nothing was published"
        )


def refuse_to_go_back(current: Release | None, settings: ExportSettings) -> None:
    """``ArgumentError`` where readers would get forecasts as of an earlier date than now."""
    if current is not None and current.as_of_date > settings.as_of_date and not settings.earlier:
        raise ArgumentError(
            f"readers have release {current.release_id}, as of {current.as_of_date}, which is later"
            f" than {settings.as_of_date}: leave --as-of out, or allow it with --earlier"
        )


def _refuse_to_shrink(current: Release | None, ids: list[int], settings: ExportSettings) -> None:
    lost = [] if current is None else sorted(set(current.product_ids) - set(ids))
    if current is not None and lost and not settings.shrink:
        raise ArgumentError(
            f"readers would lose {_some(lost)}, which release {current.release_id} serves: export"
            " all products, or allow it with --shrink"
        )


def _computed_with(engine: ForecastEngine, as_of: date, data: str) -> ComputedWith:
    """All that decides the values: data, model, thresholds of every product, and their format."""
    thresholds = engine.thresholds_at(as_of)
    settings: dict[str, KeyScalar] = dict(engine.computed_with(0, as_of))
    del settings["min_orders"], settings["min_confidence"]
    own = {str(i): _pair(of) for i, of in thresholds.by_product.items()}
    settings["thresholds_sha256"] = digest([_pair(thresholds.overall), own])
    return settings | {"format": FORMAT, DATA: data}


def _pair(thresholds: Thresholds) -> list[float]:
    return [thresholds.min_orders, thresholds.min_confidence]


def _details(
    engine: ForecastEngine, computed_with: ComputedWith, as_of: date
) -> Mapping[str, KeyScalar]:
    """What a person who looks at the release wants to know, and the next export."""
    version, replaced = engine.registered, _replaced(engine, as_of)
    return ({} if replaced is None else {REPLACED: replaced}) | {
        "model": f"{computed_with['model_name']}@{computed_with['model_version']}",
        "registered_version": None if version is None else version.number,
        "mlflow_run_id": None if version is None else version.run_id,
        "default_price": computed_with["default_price"],
        DATA: computed_with[DATA],
    }


def _replaced(engine: ForecastEngine, as_of: date) -> str | None:
    """A digest of the products that had been replaced before the date; None where none had."""
    known = replacements_of(engine.source).before(as_of).values()
    rows = sorted([r.product_id, r.replaced_by, str(r.since_date)] for r in known)
    return digest(rows) if rows else None


def _changed_hands(engine: ForecastEngine, current: Release, as_of: date) -> frozenset[int]:
    """Products of which the orders are others' as of the date than they are for a release."""
    replacements = replacements_of(engine.source)
    then, now = replacements.heirs(current.as_of_date), replacements.heirs(as_of)
    changed = [old for old in now if then.get(old) != now[old]]
    return frozenset(i for old in changed for i in (old, now[old], then.get(old, old)))


def _carried(
    engine: ForecastEngine,
    current: Release | None,
    computed_with: ComputedWith,
    orders: _Orders,
    settings: ExportSettings,
    dates: Dates,
) -> frozenset[int]:
    """The products of which no order changed: they keep the current release's forecasts."""
    if not settings.keeps_some:
        return frozenset()
    reason = _unfit(current, computed_with, settings)
    if current is not None and reason is None:
        before = _replaced(engine, current.as_of_date)
        if before != current.details.get(REPLACED):
            made = f"release {current.release_id} was made with other replaced products"
            reason = f"{made}, so that nothing of it can be kept"
    if reason is not None and (settings.since == LAST or settings.changed is not None):
        return frozenset()
    if current is None or reason is not None:
        raise ArgumentError(f"{reason}: leave since and customers out")
    kept = frozenset(current.product_ids) - _changed_hands(engine, current, settings.as_of_date)
    if settings.customer_ids is not None:
        customers = sorted(set(settings.customer_ids))
        missing = set(customers) - engine.source.customer_names(customers).keys()
        if missing:
            raise ArgumentError(f"the database has no {_some(sorted(missing), 'customer')}")
        kept -= frozenset(engine.source.ordered_products(settings.as_of_date, customers))
    if settings.changed:
        named = sorted({c.product_id for c in settings.changed if c.product_id is not None})
        kept -= products_touched(engine, settings.changed, settings.as_of_date, dates(named))
    if settings.since is not None:
        since = current.as_of_date if settings.since == LAST else settings.since
        kept -= orders.touched_since(engine.source, since)
    return kept


def _unfit(
    current: Release | None, computed_with: ComputedWith, settings: ExportSettings
) -> str | None:
    """Why no forecast of ``current`` can be kept; None if they can."""
    if current is None:
        return "there is no release yet to keep forecasts from"
    if current.as_of_date > settings.as_of_date:
        return f"release {current.release_id} knows what came after {settings.as_of_date}"
    if isinstance(settings.since, date) and settings.since > current.as_of_date:
        return (
            f"release {current.release_id} knows orders before {current.as_of_date} only, so since"
            f" can be that date, an earlier one or {LAST!r}, not {settings.since}"
        )
    other = sorted(
        name
        for name in {*computed_with, *current.computed_with} - {DATA}
        if computed_with.get(name) != current.computed_with.get(name)
    )
    if other:
        made = f"release {current.release_id} was made with another {', '.join(other)}"
        return f"{made}, so that nothing of it can be kept"
    return None


def _some(ids: Sequence[int], what: str = "product") -> str:
    listed = ", ".join(map(str, ids[:SHOWN])) + (", …" if len(ids) > SHOWN else "")
    return f"{what} {listed}" if len(ids) == 1 else f"{len(ids):,} {what}s: {listed}"
