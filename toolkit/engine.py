"""The forecast engine: what may be asked of it, with which model and thresholds."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from toolkit.cache.adhoc.forecasts import CacheClient, ForecastCache, ForecastKey
from toolkit.cache.adhoc.single_flight import cached
from toolkit.cache.envelope import Fields
from toolkit.cache.names import KeyScalar
from toolkit.data.attribution import Against
from toolkit.data.defaults import DRAWS, SEED, WEEKS
from toolkit.data.scenario import Scenario, gathered
from toolkit.model import FittedModel, default_model, fitted
from toolkit.results.customer import CustomerForecast
from toolkit.results.explanation import Explanation
from toolkit.results.forecast import ProductForecast
from toolkit.results.metadata import RegisteredVersion
from toolkit.results.portfolio import PortfolioForecast
from toolkit.results.scenario import ScenarioComparison
from toolkit.results.sensitivity import ThresholdSensitivity
from toolkit.sources.base import OrderSource
from toolkit.sources.codes import NO_CODES, Codes
from toolkit.sources.dialects import Connection
from toolkit.sources.sql import as_source
from toolkit.stages.aggregation import ProductAggregator
from toolkit.stages.arguments import MAX_WEEKS, as_of_day, check_ids, check_whole
from toolkit.stages.listing import Chooser, ProductThresholds
from toolkit.stages.patterns import PatternAnalyzer
from toolkit.stages.prediction import CustomerPredictor
from toolkit.views.categories import products_in
from toolkit.views.customer import customer_forecast
from toolkit.views.draws import draws_of
from toolkit.views.explanation import explained
from toolkit.views.forecasts import Forecasts, Note, ignored, product_forecasts
from toolkit.views.held import HeldProducts
from toolkit.views.making import DEFAULTS, Making
from toolkit.views.portfolio import portfolio_forecast
from toolkit.views.scenarios import compared
from toolkit.views.sensitivity import MIN_CONFIDENCE as GRID_CONFIDENCE
from toolkit.views.sensitivity import MIN_ORDERS as GRID_ORDERS
from toolkit.views.sensitivity import ThresholdGrid, sensitivity_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from toolkit.cluster.on_workers import OnWorkers
    from toolkit.tracking.store import Store

logger = logging.getLogger(__name__)


class ForecastEngine:
    """Forecasts products from a database of orders.

    ``conn`` is a DuckDB connection, any DB-API connection (from a pool, say) or an order source;
    it stays the caller's: the engine never closes it and always closes its cursors.
    ``forecast_weeks`` runs from 1 to 104. ``model`` is a fitted model; by default the one that
    needs no fit. Equal inputs, model and ``seed`` give an equal forecast. ``thresholds`` are those
    of calls that name none, by product; by default 2 orders and 0.3. ``registered`` says where the
    model is in the registry; ``from_registry`` fills it in. ``default_price`` is that of a unit
    where no line before the date tells one; by default such products have no price and no revenue.
    """

    def __init__(
        self,
        conn: OrderSource | Connection,
        forecast_weeks: int = WEEKS,
        *,
        model: FittedModel | None = None,
        thresholds: ProductThresholds | None = None,
        registered: RegisteredVersion | None = None,
        default_price: float | None = None,
        draws: int = DRAWS,
        seed: int = SEED,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.conn = conn
        self.forecast_weeks = check_whole("forecast_weeks", forecast_weeks, 1, MAX_WEEKS)
        self.source = as_source(conn)
        model = fitted(model or default_model())
        self.thresholds = thresholds or ProductThresholds()
        self.registered = registered
        self.pattern_analyzer = PatternAnalyzer(self.source, model.reads_customer_days)
        self.predictor = CustomerPredictor(model, self.forecast_weeks, draws, seed)
        self.aggregator = ProductAggregator(self.forecast_weeks, default_price)
        self._clock = clock
        self._held = HeldProducts()
        logger.info("ForecastEngine initialized for %d weeks", self.forecast_weeks)

    @classmethod
    def from_registry(
        cls,
        conn: OrderSource | Connection,
        alias: str = "champion",
        forecast_weeks: int = WEEKS,
        *,
        store: "Store | str | None" = None,
        default_price: float | None = None,
        draws: int = DRAWS,
        seed: int = SEED,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Self:
        """An engine with the version that ``alias`` names, and the thresholds attached to it.

        ``alias`` may also be a version's number or fit. ``store`` is MLflow's, or its address;
        by default MLFLOW_TRACKING_URI's, else ``mlflow.db`` in the folder. Where no champion was
        promoted, the champion is the model that needs no fit. Raises ``TrackingError`` for a
        version that is not there or a store that does not answer, ``ModelError`` for a version
        that the installed models cannot use.
        """
        from toolkit.tracking.loading import load_for_engine

        found = load_for_engine(store, alias)
        return cls(
            conn,
            forecast_weeks,
            model=None if found is None else found.model,
            thresholds=None if found is None else found.thresholds,
            registered=None if found is None else found.registered,
            default_price=default_price,
            draws=draws,
            seed=seed,
            clock=clock,
        )

    @classmethod
    def from_frame(
        cls,
        order_lines: "pd.DataFrame",
        forecast_weeks: int = WEEKS,
        *,
        products: "pd.DataFrame | None" = None,
        customers: "pd.DataFrame | None" = None,
        timezone: str | None = None,
        model: FittedModel | None = None,
        thresholds: ProductThresholds | None = None,
        default_price: float | None = None,
        draws: int = DRAWS,
        seed: int = SEED,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Self:
        """An engine on order lines that lie in a DataFrame, by the rules of an import.

        ``order_lines`` has the columns ``customer_id``, ``product_id``, ``ordered_at``,
        ``quantity`` and ``unit_price``, and may have ``order_id``; ``products`` has ``product_id``
        and ``name``, ``customers`` has ``customer_id`` and ``name``: without them nobody has a
        name. A product's ``category`` may stand in ``products`` or in each of its lines. Where
        ``ordered_at`` has offsets from UTC, ``timezone`` (``Europe/Berlin``) is the business's,
        whose days count. Raises ``DataError`` with every rule that is broken. The orders are
        copied into a database in memory: ``engine.conn``, of which ``Codes.of`` tells the numbers
        of text ids.
        """
        from toolkit.sources.folder.frames import frame_database

        return cls(
            frame_database(order_lines, products, customers, timezone),
            forecast_weeks,
            model=model,
            thresholds=thresholds,
            default_price=default_price,
            draws=draws,
            seed=seed,
            clock=clock,
        )

    def generate_forecast(
        self,
        product_id: int,
        as_of_date: str | date | None = None,
        min_orders: int | None = None,
        min_confidence: float | None = None,
    ) -> ProductForecast | None:
        """The forecast of one product as of a date (YYYY-MM-DD, default today).

        Its demand is that of all customers; thresholds only choose whom it lists, perhaps nobody.
        One that is not given is the engine's own. None if nobody ordered the product before the
        date (an order that was wholly returned by then is none). ArgumentError for arguments out
        of range; SourceError or PredictionError if the forecast could not be made: where every
        pair of the product failed, say, which is not the same as no demand.
        """
        (forecast,) = self.generate_forecasts(
            [product_id], as_of_date, min_orders, min_confidence
        ).values()
        return forecast

    def generate_forecasts(
        self,
        product_ids: Iterable[int],
        as_of_date: str | date | None = None,
        min_orders: int | None = None,
        min_confidence: float | None = None,
        *,
        note: Note = ignored,
    ) -> Forecasts:
        """Forecasts by product id, each as ``generate_forecast`` gives it.

        ``note`` is shown the predictions that each batch of them is made of, and the thresholds.
        Three queries for every 1,000 products, or four if the model reads customers' order days.
        A product that fails is no forecast less, but an error: it names the product.
        """
        ids = list(dict.fromkeys(check_ids("product_id", product_ids)))
        as_of = as_of_day(as_of_date, self.source)
        chooser = self._chooser(as_of, min_orders, min_confidence)
        self._warn_of_the_future(as_of, None in (min_orders, min_confidence))
        return product_forecasts(
            self.pattern_analyzer, self.aggregator, self._making, ids, as_of, chooser, logger, note
        )

    def forecast_customer(
        self, customer_id: int, as_of_date: str | date | None = None
    ) -> CustomerForecast | None:
        """What a customer orders next, of every product they ordered before the date.

        Each product's row is what the product's own forecast says of this customer, whatever the
        thresholds; those decide what is called at risk. These products are held for the next
        customer at the date, as long as their source tells that nothing has changed (DuckDB does).
        None for a customer who ordered nothing
        before the date (YYYY-MM-DD, default today). ArgumentError for arguments out of range;
        SourceError or PredictionError if the forecast could not be made.
        """
        (customer,) = check_ids("customer_id", [customer_id])
        as_of = as_of_day(as_of_date, self.source)
        chooser = self._chooser(as_of, None, None)
        self._warn_of_the_future(as_of, own_thresholds=True)
        asked = self.pattern_analyzer, self._making, self._held
        return customer_forecast(*asked, customer, as_of, chooser)

    def forecast_portfolio(
        self,
        product_ids: Iterable[int] | None = None,
        as_of_date: str | date | None = None,
        *,
        category: str | Iterable[str] | None = None,
        by: "OnWorkers | None" = None,
    ) -> PortfolioForecast | None:
        """Many products together: totals by week and category, movers, and customers at risk.

        ``product_ids``: None for every product ordered before the date (YYYY-MM-DD, default
        today); or all of a ``category``, or of several, by name or a part that only one has, as
        products are grouped today. Quantiles are those of sums of draws. ``by``: workers that
        predict from the engine's own orders; the result is the same. None if nobody ordered any of
        the products before the date. ArgumentError for products and categories at once, an unknown
        category, and data without any; else raises as ``forecast_customer`` and workers do.
        """
        ids = _each_once(product_ids)
        if category is not None:
            ids = products_in(self.source, category, ids)
        as_of = as_of_day(as_of_date, self.source)
        chooser = self._chooser(as_of, None, None)
        self._warn_of_the_future(as_of, own_thresholds=True)
        asked = self.pattern_analyzer, self._making, ids, as_of, chooser
        return portfolio_forecast(*asked, listed=category is None, by=by)

    def compare_scenarios(
        self,
        scenarios: Iterable[Scenario] | Path,
        product_ids: Iterable[int] | None = None,
        as_of_date: str | date | None = None,
        *,
        codes: Codes = NO_CODES,
    ) -> ScenarioComparison | None:
        """Scenarios, or those in a file, beside the forecast as it is; differences by draw.

        ``product_ids``: what is compared, None for all products. ``codes`` tells ids that stand for
        codes. None if nobody ordered any of the products before the date (YYYY-MM-DD, default
        today). ArgumentError with all that is wrong: unknown names, contradictions, dates outside
        the horizon; else raises as ``forecast_customer`` does.
        """
        ids, as_of = _each_once(product_ids), as_of_day(as_of_date, self.source)
        self._warn_of_the_future(as_of, own_thresholds=False)
        return compared(self.pattern_analyzer, self._making, gathered(scenarios), ids, as_of, codes)

    def sensitivity(
        self,
        product_ids: Iterable[int] | None = None,
        as_of_date: str | date | None = None,
        *,
        min_orders: Sequence[int] = GRID_ORDERS,
        min_confidence: Sequence[float] = GRID_CONFIDENCE,
    ) -> ThresholdSensitivity | None:
        """Whom each pair of thresholds would list, and what share of the known demand they hold.

        From one prediction: what is said of two thresholds are the listed_… of forecasts made with
        them. ``product_ids``: None for all. None if nobody ordered any of them before the date
        (YYYY-MM-DD, default today). Raises as ``forecast_customer`` does.
        """
        grid = ThresholdGrid(min_orders, min_confidence)
        ids, as_of = _each_once(product_ids), as_of_day(as_of_date, self.source)
        self._warn_of_the_future(as_of, own_thresholds=True)
        return sensitivity_of(self.pattern_analyzer, self._making, ids, as_of, grid)

    def explain(
        self,
        product_id: int,
        customer_id: int | None = None,
        as_of_date: str | date | None = None,
        *,
        against: Against = "product",
    ) -> Explanation | None:
        """What a forecast is made of: of a product, or of one of its customers.

        A customer's orders over the horizon are held ``against`` a typical customer of the product,
        or of ``"all"`` products. They are computed, not simulated: a forecast's are off by the
        chance of its paths. None if the product, or the customer the product, was not ordered
        before the date (YYYY-MM-DD, default today). ModelError for a model that does not explain;
        ArgumentError for arguments out of range, and for the only customer of a product; else
        raises as ``forecast_customer`` does.
        """
        (product_id,) = check_ids("product_id", [product_id])
        if customer_id is not None:
            (customer_id,) = check_ids("customer_id", [customer_id])
        as_of = as_of_day(as_of_date, self.source)
        thresholds = self._chooser(as_of, None, None)(product_id)
        self._warn_of_the_future(as_of, own_thresholds=customer_id is not None)
        return explained(
            self.pattern_analyzer, self._making, product_id, customer_id, as_of, against, thresholds
        )

    def draws(
        self, product_ids: Iterable[int] | None = None, as_of_date: str | date | None = None
    ) -> "xr.Dataset":
        """Draws of weekly demand, ``orders`` and ``quantity`` [product, week, draw], float64.

        Those that the quantiles of a product's forecast are taken from, new customers included:
        draw d of one product belongs to draw d of another, so that
        ``engine.draws(…).quantity.sum("product")`` are draws of the total. Coordinates are
        ``product`` (id), ``week`` (from 1), ``draw``, ``product_name`` and ``week_start_date``.
        ``product_ids``: None for all; those that nobody ordered before the date are left out.
        It all has to fit into memory: 16 bytes a product, week and draw.
        """
        ids = _each_once(product_ids)
        as_of = as_of_day(as_of_date, self.source)
        self._warn_of_the_future(as_of, own_thresholds=False)
        metadata = self._making.metadata_at(as_of, 0, DEFAULTS, None)
        return draws_of(self.pattern_analyzer, self.predictor, ids, as_of, metadata)

    def generate_forecast_cached(
        self,
        product_id: int,
        redis_client: CacheClient,
        as_of_date: str | date | None = None,
        cache_ttl: int = 3600,
        min_orders: int | None = None,
        min_confidence: float | None = None,
    ) -> ProductForecast | None:
        """As ``generate_forecast``, from the cache where it holds this very forecast.

        A value made with other thresholds, horizon, model or seed does not count. A cache that
        is down, slow or holds rubbish costs a warning, never the forecast. However many ask at
        once, in however many processes, it is computed once. If the database is away, the last
        good forecast of this process stands in, and a warning says how old it is. ``cache_ttl``
        is in seconds.
        """
        (product_id,) = check_ids("product_id", [product_id])
        as_of = as_of_day(as_of_date, self.source)
        thresholds = self._chooser(as_of, min_orders, min_confidence)(product_id)
        cache = ForecastCache(redis_client, cache_ttl)
        key = ForecastKey(product_id, as_of, self._making.computed_with(thresholds))

        def compute() -> Fields | None:
            made = self.generate_forecast(product_id, as_of, min_orders, min_confidence)
            return None if made is None else made.to_dict()

        fields = cached(cache, key, compute)
        return None if fields is None else ProductForecast.from_dict(fields)

    def thresholds_at(self, as_of: date) -> ProductThresholds:
        """The engine's thresholds if they were known at the date, else the defaults."""
        return self._making.thresholds_at(as_of)

    def computed_with(self, product_id: int, as_of: date) -> dict[str, KeyScalar]:
        """Everything but the data that decides the forecast of a call that names no threshold."""
        return self._making.computed_with(self.thresholds_at(as_of).of(product_id))

    def _chooser(
        self, as_of: date, min_orders: int | None, min_confidence: float | None
    ) -> Chooser:
        """What is given, and for what is not the engine's own, if it was known at the date."""
        return self.thresholds_at(as_of).chooser(min_orders, min_confidence)

    @property
    def _making(self) -> Making:
        return Making(
            self.predictor,
            self.thresholds,
            self.registered,
            self.aggregator.default_price,
            self._clock,
        )

    def _warn_of_the_future(self, as_of: date, own_thresholds: bool) -> None:
        self._making.warn_of_the_future(as_of, own_thresholds, logger)


def _each_once(product_ids: Iterable[int] | None) -> list[int] | None:
    return None if product_ids is None else [*dict.fromkeys(check_ids("product_id", product_ids))]
