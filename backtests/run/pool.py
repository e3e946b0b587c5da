"""Tasks handed out to workers. One whose processes die takes one task with it, not the run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from backtests.run.fitting import Bar, FitMaker, FitTask, fit
from backtests.run.records import FitRecord
from backtests.run.tasks import Outcome, Scored, Task, record, work
from toolkit.cluster.workers import Workers

DIED = "the worker process died, more than once: was it out of memory?"


def work_through(
    tasks: Sequence[Task], run: Path, workers: Workers, tell: Callable[[Outcome], None]
) -> None:
    """Do all ``tasks``; one that kills whatever process tries it is recorded as failed.

    Raises what handing them out does.
    """

    def key(task: Task) -> tuple[str | int, ...]:
        return "backtest", str(run), str(task.as_of_date), task.label, task.shard

    with closing(workers.each(partial(work, run=run), tasks, key)) as ended:
        for task, outcome in ended:
            tell(_died(task, run) if outcome is None else outcome)


def _died(task: Task, run: Path) -> Outcome:
    outcome = Outcome(task, DIED, 0.0)
    record(outcome, Scored(), run)
    return outcome


def fitted_by(workers: Workers, bar: Bar) -> FitMaker:
    """Makes fits on ``workers``, beside each other; one that kills them has failed."""

    def make(tasks: Sequence[FitTask]) -> Iterator[tuple[FitTask, FitRecord]]:
        if not tasks:
            return
        keyed = workers.each(fit, tasks, lambda task: ("fit", str(task.file)))
        with bar("Fitting", len(tasks)) as advance, closing(keyed) as ended:
            for task, record in ended:
                advance(1)
                yield task, record or FitRecord(error=DIED, asked=task.fitting.asked)

    return make
