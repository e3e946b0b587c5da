"""Tasks on the workers of a Dask scheduler.

What is said of workers holds for each before its first task, if it joins later, too. No more
tasks are handed out than threads are free: none waits at a worker, so none is stolen from one,
and a worker that dies takes only what it was doing. The scheduler hands that to others by itself,
under the same key.
"""

import logging
import pickle
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from types import ModuleType
from typing import Any

from toolkit.cluster.probe import Terms, differences, do_task
from toolkit.cluster.settings import ClusterSettings
from toolkit.errors import ClusterError
from toolkit.installed import need

LOOK_S = 1.0
"""How often it is looked whether workers are there, while no task ends."""

LEAVE_S = 5.0
CALM_TRIES = 3
"""So often a worker that does not answer a question is asked again."""

TASK_RETRIES = 2
"""So often a task that raises is tried again: what a dead command's worker still removes, say."""


@contextmanager
def connected(settings: ClusterSettings, resumes: bool = True) -> Iterator["DaskWorkers"]:
    """The workers of a scheduler, until the context ends. Raises ``ClusterError`` if it is away.

    ``resumes``: whether what is done is kept where they are lost.
    """
    dask = need("distributed", "--cluster", ClusterError)
    with _quiet():
        client = _client(dask, settings)
        try:
            workers = DaskWorkers(
                settings, client, dask.KilledWorker, KEPT if resumes else NOT_KEPT
            )
            workers.wait_for_one()
            yield workers
        finally:
            with suppress(Exception):  # a scheduler that is gone cannot be taken leave of
                client.close(timeout=LEAVE_S)


@dataclass(slots=True)
class DaskWorkers:
    """See ``Workers``."""

    _settings: ClusterSettings
    _client: Any
    _killed: type[Exception]
    _remedy: str
    _terms: Terms | None = field(default=None, init=False)

    @contextmanager
    def seeing(self, reads: Iterable[Path], folder: Path) -> Iterator[None]:
        """A file with a secret name and content in ``folder`` tells that it is the same one."""
        folder.mkdir(parents=True, exist_ok=True)
        token = folder / f".part-seen-{token_hex(8)}"
        token.write_text(token_hex(32))
        try:
            self._terms = Terms.here(reads, token)
            self._ask(self._terms)
            yield
        finally:
            self._terms = None
            token.unlink(missing_ok=True)

    def each[Task, Result](
        self,
        do: Callable[[Task], Result],
        tasks: Iterable[Task],
        key: Callable[[Task], tuple[str | int, ...]],
    ) -> Generator[tuple[Task, Result | None], None, None]:
        """As ``Workers`` has it."""
        waiting = deque((task, 1) for task in tasks)
        in_hand: dict[Future[Result], tuple[Task, int]] = {}
        executor = self._client.get_executor(pure=False, retries=TASK_RETRIES)
        try:
            room, looked, seen = 0, -LOOK_S, time.monotonic()
            while waiting or in_hand:
                if time.monotonic() - looked >= LOOK_S:
                    room, looked = self._threads(), time.monotonic()
                    seen = looked if room else seen
                    self._give_up_after(looked - seen)
                while waiting and len(in_hand) < room:
                    task, tries = waiting.popleft()
                    future = self._submit(executor, do, task, (*key(task), tries))
                    in_hand[future] = task, tries
                for future in wait(in_hand, LOOK_S, FIRST_COMPLETED).done:
                    task, tries = in_hand.pop(future)
                    again = tries < self._settings.tries
                    try:
                        yield task, future.result()
                    except self._killed:
                        if again:
                            waiting.append((task, tries + 1))
                        else:
                            yield task, None
                    except CancelledError:  # a scheduler that still lets go of this key, or is gone
                        if not again:
                            raise
                        waiting.append((task, tries + 1))
                        looked = -LOOK_S  # which of both, before it is handed out again
        except (CancelledError, OSError) as exc:
            if isinstance(exc, OSError) and self._client.status == "running":
                raise
            raise ClusterError(self._lost(), unavailable=True) from exc
        finally:
            with suppress(Exception):
                executor.shutdown(wait=False)  # what is under way is let go of

    def wait_for_one(self) -> None:
        """``ClusterError`` where no worker joins within the connection's patience."""
        deadline = time.monotonic() + self._settings.connect_timeout_seconds
        while not self._threads():
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the scheduler at {self._settings.address} has no worker that takes work: "
                    f"`dask worker {self._settings.address}` starts one",
                    unavailable=True,
                )
            time.sleep(0.1)

    def _ask(self, terms: Terms) -> None:
        """Ask every worker for what it does not have in common with us, and tell of it."""
        for _ in range(CALM_TRIES):
            said = self._client.run(differences, terms, on_error="return")
            silent = [address for address, one in said.items() if isinstance(one, OSError)]
            if said and not silent:
                break
            time.sleep(LOOK_S)
        found = {address: _told(one) for address, one in said.items() if one}
        if found:
            address, first = next(iter(found.items()))
            others = f" (and {len(found) - 1} more of {len(said)})" if len(found) > 1 else ""
            raise ClusterError(f"the worker {address}{others} {first}")

    def _submit[Task, Result](
        self,
        executor: Any,  # noqa: ANN401  # Dask's takes a key, too
        do: Callable[[Task], Result],
        task: Task,
        key: tuple[str | int, ...],
    ) -> Future[Result]:
        if self._terms is None:
            raise RuntimeError("tasks are handed out within `seeing` only")
        payload = pickle.dumps((do, task))
        future: Future[Any] = executor.submit(on_worker, self._terms, payload, key=key)
        return future

    def _threads(self) -> int:
        """Of all workers that take work: one whose memory is full does not, one may be none."""
        if self._client.status != "running":
            raise ClusterError(self._lost(), unavailable=True)
        found = self._client.scheduler_info(n_workers=-1).get("workers", {}).values()
        return sum(int(worker["nthreads"]) for worker in found if worker["status"] == "running")

    def _give_up_after(self, seconds: float) -> None:
        if seconds > self._settings.patience_seconds:
            raise ClusterError(
                f"no worker of {self._settings.address} took work for {seconds:.0f} s: all are "
                f"gone, or their memory is full; {self._remedy}",
                unavailable=True,
            )

    def _lost(self) -> str:
        return f"the scheduler at {self._settings.address} was lost; {self._remedy}"


KEPT = "what is done is kept, and the same command goes on from there"
NOT_KEPT = "nothing was kept: run it again"


def on_worker(terms: Terms, payload: bytes) -> object:
    """Do a task; libraries that know Dask do it as they would without a cluster.

    xarray, for one, would take a lock of the whole cluster for a file that this process writes.
    """
    with need("dask", "a worker", ClusterError).config.set(scheduler="threads"):
        return do_task(terms, payload)


def _told(said: object) -> str:
    """What a worker answered, or why it could not."""
    if isinstance(said, list):
        return "; ".join(said)
    if "ModuleNotFoundError" in f"{said!r}":  # Dask passes on no more than its text
        return f"lacks what this process has ({said}): install the same and start it again"
    return f"did not answer: {type(said).__name__}: {said}"


def _client(dask: ModuleType, settings: ClusterSettings) -> Any:  # noqa: ANN401
    tls = settings.tls
    security = tls and dask.Security(
        tls_ca_file=tls.ca,
        tls_client_cert=tls.cert,
        tls_client_key=tls.key,
        require_encryption=True,
    )
    try:
        return dask.Client(
            settings.address,
            timeout=settings.connect_timeout_seconds,
            security=security,
            set_as_default=False,
        )
    except (OSError, ValueError, ImportError) as exc:
        said = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise ClusterError(
            f"no scheduler answers at {settings.address}: {said}", unavailable=True
        ) from exc


@contextmanager
def _quiet() -> Iterator[None]:
    """What Dask would log and warn of here, errors say in a sentence."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    before = {name: logging.getLogger(name).level for name in ("distributed", *names)}
    for name in before:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="distributed")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
