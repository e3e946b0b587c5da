"""A fitted peer's card: what it was fitted to, and how."""

from models.parts.fitting.card import Card
from toolkit.data.tables import Patterns
from toolkit.model import FitSettings


def card_of(
    model: str,
    formulas: str,
    description: str,
    version: str,
    patterns: Patterns,
    rows: int,
    seed: int,
    settings: FitSettings,
) -> Card:
    """The card of a fit to ``rows`` rows made from ``patterns``; nothing was sampled."""
    return Card(
        model=model,
        formulas=formulas,
        version=version,
        as_of_date=patterns.as_of_date.isoformat(),
        pairs=rows,
        seed=seed,
        description=description,
        settings={"pairs": settings.pairs},
        diagnostics={},
        complaints=[],
    )
