"""The versions under watch: the champion, the challenger, and the model that needs no fit."""

from dataclasses import dataclass

from backtests.evidence.shadow import CHALLENGER
from toolkit.errors import TrackingError
from toolkit.model import FittedModel, default_model
from toolkit.tracking.loading import load_in_use
from toolkit.tracking.registry import CHAMPION, ModelVersionRef, aliases, find
from toolkit.tracking.store import Store

REFERENCE = "reference"
NO_CHAMPION = "there is no champion to watch: `toolkit promote` makes one"


@dataclass(frozen=True, slots=True)
class Watched:
    """A version under watch, and what is known of its registration (None: the reference)."""

    role: str
    model: FittedModel
    ref: ModelVersionRef | None

    @property
    def fit(self) -> str:
        """MODEL@VERSION."""
        return _fit_of(self.model)

    @property
    def is_reference(self) -> bool:
        """Whether it is the model that needs no fit, under whatever role: others are held to it."""
        return self.fit == _fit_of(default_model())


def watched_versions(store: Store) -> list[Watched]:
    """The champion, the challenger if an alias names one, and the model that needs no fit.

    Raises ``TrackingError`` where there is no champion, and as ``load_in_use`` does.
    """
    named = aliases(store)
    if CHAMPION not in named:
        raise TrackingError(NO_CHAMPION)
    found: list[Watched] = []
    for role in (CHAMPION, CHALLENGER):
        if role in named and named[role] not in [one.ref.number for one in found if one.ref]:
            ref = find(store, role)
            found.append(Watched(role, load_in_use(store, ref).model, ref))
    if any(one.is_reference for one in found):
        return found
    return [*found, Watched(REFERENCE, default_model(), None)]


def _fit_of(model: FittedModel) -> str:
    return f"{model.name}@{model.version}"
