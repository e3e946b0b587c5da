from .cache.reader import ForecastReader as ForecastReader
from .cache.server import embedded_server as embedded_server
from .cluster.on_workers import on_workers as on_workers
from .data.scenario import Change as Change
from .data.scenario import Scenario as Scenario
from .data.scenario import read_scenarios as read_scenarios
from .data.tables import QUANTILES as QUANTILES
from .data.tables import Patterns as Patterns
from .data.tables import Predictions as Predictions
from .demo.orders import DEMO_AS_OF as DEMO_AS_OF
from .demo.orders import write_demo_orders as write_demo_orders
from .engine import ForecastEngine as ForecastEngine
from .errors import (
    ArgumentError as ArgumentError,
)
from .errors import (
    CacheError as CacheError,
)
from .errors import (
    DataError as DataError,
)
from .errors import (
    ModelError as ModelError,
)
from .errors import (
    PredictionError as PredictionError,
)
from .errors import (
    SourceError as SourceError,
)
from .errors import (
    ToolkitError as ToolkitError,
)
from .errors import (
    TrackingError as TrackingError,
)
from .export.changes import ChangedOrder as ChangedOrder
from .export.feed import export_feed as export_feed
from .export.job import export_release as export_release
from .export.plan import ExportSettings as ExportSettings
from .fits import load_fit as load_fit
from .fits import save_fit as save_fit
from .model import CalendarModel as CalendarModel
from .model import ExplainingModel as ExplainingModel
from .model import FitSettings as FitSettings
from .model import FittedModel as FittedModel
from .model import ModelVersion as ModelVersion
from .model import RedrawingModel as RedrawingModel
from .model import SplittingModel as SplittingModel
from .model import Streams as Streams
from .model import find_model as find_model
from .replenishment.plan import plan_replenishment as plan_replenishment
from .replenishment.policy import ReplenishmentPolicy as ReplenishmentPolicy
from .replenishment.result import ReplenishmentPlan as ReplenishmentPlan
from .replenishment.stock import Stock as Stock
from .replenishment.stock import read_stock as read_stock
from .results.customer import CustomerForecast as CustomerForecast
from .results.explanation import Explanation as Explanation
from .results.forecast import ProductForecast as ProductForecast
from .results.pair import CustomerPrediction as CustomerPrediction
from .results.pair import CustomerProductPattern as CustomerProductPattern
from .results.portfolio import PortfolioForecast as PortfolioForecast
from .results.scenario import ScenarioComparison as ScenarioComparison
from .results.sensitivity import ThresholdSensitivity as ThresholdSensitivity
from .sources.codes import Codes as Codes
from .sources.embedded.checks import check_database as check_database
from .sources.embedded.database import open_database as open_database
from .sources.folder.importer import import_folder as import_folder
from .sources.folder.importer import import_orders as import_orders
from .sources.folder.mapping import OrderMapping as OrderMapping
from .sources.folder.quarantine import Quarantine as Quarantine
from .sources.generator import Truth as Truth
from .sources.generator import generate_orders as generate_orders
from .sources.generator import load_orders as load_orders
from .sources.parquet.writing import write_parquet as write_parquet
from .sources.sql import last_order_day as last_order_day
from .sources.sql import weekly_quantities as weekly_quantities
from .sources.sqlserver.dialect import SQL_SERVER_SESSION as SQL_SERVER_SESSION
from .tracking.history import history as history
from .tracking.promotion import PromotionRefusedError as PromotionRefusedError
from .tracking.promotion import promote as promote
from .tracking.promotion import roll_back as roll_back
from .tracking.registration import register_fit as register_fit
from .tracking.registry import attach_thresholds as attach_thresholds
from .tracking.store import open_store as open_store
