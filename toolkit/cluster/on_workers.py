"""Orders that are forecast by workers, for views that sum what each of them makes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from toolkit.cluster.orders import OrdersAt
from toolkit.cluster.workers import Workers, open_workers

type BlocksDone = Callable[[int, int], None]


def _untold(done: int, total: int) -> None:
    """For whoever needs no progress."""


@dataclass(frozen=True, slots=True)
class OnWorkers:
    """Workers, the orders that each opens, and a folder that they and this process see.

    What is under way goes there, and is removed in the end. ``progress`` is told how many tasks are
    done, and of how many.
    """

    workers: Workers
    orders: OrdersAt
    work: Path
    progress: BlocksDone = _untold


@contextmanager
def on_workers(
    database: Path | str | OrdersAt,
    jobs: int = 1,
    cluster: str | None = None,
    work: Path = Path(),
    progress: BlocksDone = _untold,
) -> Iterator[OnWorkers]:
    """Workers for the orders of ``database``, a file or a folder of Parquet, wherever it lies.

    ``jobs`` processes of this machine, or the workers of the scheduler at ``cluster``: ``tcp://…``,
    or a TOML file about one. These read and write below ``work``, which has one path on all
    machines. Open the database within the block: an import that takes its place after that ends
    the forecast, and so does an engine of other orders. Raises as ``open_workers`` does, and
    ``SourceError`` as ``OrdersAt.now`` does.
    """
    orders = database if isinstance(database, OrdersAt) else OrdersAt.now(Path(database))
    with open_workers(jobs, cluster, resumes=False) as workers, ExitStack() as stack:
        if cluster is None:
            work = Path(stack.enter_context(TemporaryDirectory(prefix="forecast-")))
        yield OnWorkers(workers, orders, work, progress)
