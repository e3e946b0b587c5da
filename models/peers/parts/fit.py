"""A fitted peer's card: what it was fitted to, and how."""

from toolkit.data.tables import Patterns
from toolkit.model import FitSettings
from toolkit.results.fit import FitCard


def card_of(
    model: str,
    formulas: str,
    description: str,
    version: str,
    patterns: Patterns,
    rows: int,
    seed: int,
    settings: FitSettings,
) -> FitCard:
    """The card of a fit to ``rows`` rows made from ``patterns``; nothing was sampled."""
    return FitCard(
        model=model,
        formulas=formulas,
        version=version,
        as_of_date=patterns.as_of_date,
        pairs=rows,
        seed=seed,
        description=description,
        settings={"pairs": settings.pairs},
    )
