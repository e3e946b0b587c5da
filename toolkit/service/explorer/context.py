"""What the pages are made from: records of the cache, its directory, and an engine, if one is."""

from collections.abc import Callable, Hashable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from toolkit.cache.current import CurrentRelease
from toolkit.cache.directory import Directory
from toolkit.cache.memory import in_words
from toolkit.errors import ArgumentError, CacheError
from toolkit.results.metadata import ModelMetadata
from toolkit.service.explorer.cells import Labels
from toolkit.service.explorer.questions import Questions
from toolkit.service.explorer.shell import About
from toolkit.service.forecasts import Forecasts, sentence
from toolkit.service.replies import ProblemError
from toolkit.service.settings import ServiceSettings

if TYPE_CHECKING:  # a service without an engine starts without one
    from toolkit.service.explorer.desk import Desk, Known

NO_ENGINE = "`toolkit serve --db FILE` shows it: the release alone does not hold it."


class Context:
    """Over the records that the service answers from."""

    def __init__(self, forecasts: Forecasts, settings: ServiceSettings) -> None:
        self.forecasts, self.records = forecasts, forecasts.records
        self.directory = Directory(settings.redis_url)
        self.questions = Questions()
        self.store = settings.store
        self._engine, self._oldest_s = settings.engine, settings.oldest_s
        self._desk: Desk | None = None

    @property
    def has_engine(self) -> bool:
        """Whether orders can be asked."""
        return self._engine is not None

    @property
    def desk(self) -> "Desk":
        """Where they are asked."""
        if self._desk is None:
            from toolkit.service.explorer.desk import Desk

            assert self._engine is not None
            self._desk = Desk(self._engine)
        return self._desk

    def release(self) -> CurrentRelease:
        """The release that is current; 503 where there is none."""
        if self.records.release is None:
            why = self.records.failure or "there is no release"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence(CacheError(why)))
        return self.records.release

    def about(self) -> About | None:
        """What is said of the current release; None where there is none."""
        release = self.records.release
        return None if release is None else self.about_of(release, self.records.stale_s)

    def about_of(self, release: CurrentRelease, stale_s: float | None) -> About:
        """What is said of a release; ``stale_s``: for how long the cache has not confirmed it."""
        if self.records.failure is None:
            why = self.records.unready(self._oldest_s)
            return About.of(release, "" if why is None else sentence(CacheError(why)))
        return About.of(
            release,
            f"For {in_words(stale_s or 0.0)} the cache has not confirmed this: a newer release "
            "may be current.",
        )

    async def ask[T](
        self, release: CurrentRelease, what: Hashable, answer: Callable[["Desk"], T]
    ) -> T:
        """What the desk answers of a release, as orders are now."""
        desk, pointer = self.desk, release.pointer
        key = (desk.stamp(), pointer.epoch, pointer.release, what)
        return await self.questions.ask(key, lambda: answer(desk))

    async def known(self) -> "Known | None":
        """Names and codes of all, where there is an engine to tell them."""
        if not self.has_engine:
            return None
        desk = self.desk
        return await self.questions.ask(("known", desk.stamp()), desk.known)

    async def product_ids(self) -> tuple[int, ...]:
        """Those that the current release serves, ascending; 503 where the cache does not tell."""
        try:
            return await self.directory.product_ids(self.release())
        except CacheError as error:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence(error)) from error

    async def customer_number(self, code: str) -> int | None:
        """The number of a customer's id or code; None for no code, 404 for an unknown one."""
        known = await self.known() if code else None
        if known is None:
            return None
        try:
            return known.number("customer", code)
        except ArgumentError as error:
            raise ProblemError(HTTPStatus.NOT_FOUND, sentence(error)) from error

    async def labels(self, products: Iterable[int] = (), customers: Iterable[int] = ()) -> Labels:
        """What these are called."""
        known = await self.known()
        if known is None:
            return Labels()
        return Labels(
            {i: known.code("product", i) or "" for i in products},
            {i: known.code("customer", i) or "" for i in customers},
            explained=True,
        )

    @staticmethod
    def differs(made: ModelMetadata, release: CurrentRelease) -> str:
        """That something was made by another version than the release, if it was."""
        ours = made["model_name"], made["model_version"]
        theirs = tuple(release.computed_with.get(n) for n in ("model_name", "model_version"))
        if ours == theirs:
            return ""
        return f"The release is by {theirs[0]}@{theirs[1]}, this is by {ours[0]}@{ours[1]}."

    async def close(self) -> None:
        """Let connections and the thread go."""
        self.questions.close()
        await self.directory.aclose()
