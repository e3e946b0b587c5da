"""A slow twin: stock day by day, draw by draw, in plain Python."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cycle:
    """From this order's delivery to the next one."""

    demand: float
    short: float  # units that were not served at once
    any_short: bool
    left: float  # net stock just before the next delivery


def live(weeks, share, position, lead_days, review_days) -> Cycle:
    """One draw, [weeks] of demand: all of the position is there by the delivery, on day L."""
    net, demand, short, any_short = position, 0.0, 0.0, False
    for day in range(lead_days + review_days):
        week, weekday = divmod(day, 7)
        asked = weeks[week] * (share[weekday + 1] - share[weekday])
        unserved = max(asked - max(net, 0.0), 0.0)
        net -= asked
        if day >= lead_days:
            demand += asked
            short += unserved
            any_short |= net < -1e-9
    return Cycle(demand, short, any_short, net)
