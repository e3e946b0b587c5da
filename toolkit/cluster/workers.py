"""Who does tasks: one way to hand them out, whether to processes of this machine or to a cluster.

A task can be pickled, knows nothing of the others, names what it reads by its address, and writes
what it makes where everybody can see it; it returns little. Done twice, it is the same.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from toolkit.cluster.dask import connected
from toolkit.cluster.local import LocalProcesses
from toolkit.cluster.settings import read_cluster
from toolkit.errors import ArgumentError

MOST_JOBS = 1000
"""Processes of one machine."""


class Workers(Protocol):
    """Do tasks, many at a time."""

    def seeing(self, reads: Iterable[Path], folder: Path) -> AbstractContextManager[None]:
        """Within it tasks may be handed out that read these files and write into ``folder``.

        Raises ``ClusterError`` where a worker has other versions or code than this process, does
        not see the files, or sees others at their places.
        """

    def each[Task, Result](
        self,
        do: Callable[[Task], Result],
        tasks: Iterable[Task],
        key: Callable[[Task], tuple[str | int, ...]],
    ) -> Generator[tuple[Task, Result | None], None, None]:
        """Each task with what ``do`` made of it, in the order in which they end.

        None: every process died that tried it. ``key`` tells tasks apart, those of other callers
        too. Raises what ``do`` raises, and ``ClusterError`` where workers are lost; what was done
        by then is done.
        """


@contextmanager
def open_workers(jobs: int, cluster: str | None = None, resumes: bool = True) -> Iterator[Workers]:
    """The workers of the scheduler at ``cluster``, see ``read_cluster``, or ``jobs`` processes.

    ``resumes``: whether what was done is kept where workers are lost; the error says so.
    Raises ``ArgumentError`` for what is wrong with ``jobs`` or ``cluster``, ``ClusterError`` where
    it cannot be reached, or no worker is there.
    """
    if type(jobs) is not int or not 1 <= jobs <= MOST_JOBS:
        raise ArgumentError(f"jobs has to be a whole number from 1 to {MOST_JOBS}, got {jobs!r}")
    if cluster is None:
        yield LocalProcesses(jobs)
        return
    with connected(read_cluster(cluster), resumes) as workers:
        yield workers
