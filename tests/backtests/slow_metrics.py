"""The scores written out for one row after the other, in plain Python: slow, and easy to check."""

import math


def crps_truncated(p_by_week, week):
    return [
        sum(7 * (p - (1 if happened <= k else 0)) ** 2 for k, p in enumerate(row))
        for row, happened in zip(p_by_week, week, strict=True)
    ]


def crps_counts(probability, count):
    scores = []
    for row, happened in zip(probability, count, strict=True):
        score, cumulative = 0.0, 0.0
        for c in range(len(row) - 1):
            cumulative += row[c]
            score += (cumulative - (1 if happened <= c else 0)) ** 2
        scores.append(score)
    return scores


def crps_draws(draws, actual):
    """Mean distance to the actual value, less half the mean distance of draws to each other."""
    scores = []
    for row, y in zip(draws, actual, strict=True):
        to_actual = sum(abs(x - y) for x in row) / len(row)
        apart = sum(abs(a - b) for a in row for b in row) / len(row) ** 2
        scores.append(to_actual - apart / 2)
    return scores


def pit_weeks(p_by_week, week, u):
    pits = []
    for row, happened, share in zip(p_by_week, week, u, strict=True):
        below = 0.0 if happened == 0 else row[happened - 1]
        up_to = 1.0 if happened == len(row) else row[happened]
        pits.append(below + share * (up_to - below))
    return pits


def pit_draws(draws, actual, u):
    """Where the actual value stands in a random order of it and the draws, ties shuffled."""
    pits = []
    for row, y, share in zip(draws, actual, u, strict=True):
        below = sum(1 for x in row if x < y)
        equal = sum(1 for x in row if x == y)
        pits.append((below + share * (equal + 1)) / (len(row) + 1))
    return pits


def log_loss(p, y, floor=1e-6):
    given = [min(max(a, floor), 1 - floor) for a in p]
    return [-math.log(a if b == 1 else 1 - a) for a, b in zip(given, y, strict=True)]


def brier(p, y):
    return [(a - b) ** 2 for a, b in zip(p, y, strict=True)]


def poisson_deviance(expected, count):
    least = [max(e, 1e-4) for e in expected]
    return [
        2 * ((c * math.log(c / e) if c else 0.0) - c + e) for e, c in zip(least, count, strict=True)
    ]


def pinball(quantiles, levels, actual):
    return [
        [t * (y - q) if y >= q else (1 - t) * (q - y) for q, t in zip(row, levels, strict=True)]
        for row, y in zip(quantiles, actual, strict=True)
    ]


def weighted_quantile_loss(quantiles, levels, actual):
    loss = pinball(quantiles, levels, actual)
    by_level = [2 * sum(row[i] for row in loss) / sum(actual) for i in range(len(levels))]
    return sum(by_level) / len(by_level)


def wape(forecast, actual):
    return sum(abs(f - y) for f, y in zip(forecast, actual, strict=True)) / sum(actual)


def bias(forecast, actual):
    return sum(forecast) / sum(actual) - 1


def auc(p, y):
    """Every 1 against every 0."""
    wins = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a, ya in zip(p, y, strict=True)
        if ya == 1
        for b, yb in zip(p, y, strict=True)
        if yb == 0
    ]
    return sum(wins) / len(wins)


def calibration_error(p, y, bins):
    """Classes by the rank in the middle of those with the same p."""
    groups = {}
    for a, b in zip(p, y, strict=True):
        smaller, same = sum(1 for x in p if x < a), sum(1 for x in p if x == a)
        middle = smaller + same / 2
        groups.setdefault(int(middle * bins / len(p)), []).append((a, b))
    gaps = [abs(sum(a for a, _ in g) - sum(b for _, b in g)) for g in groups.values()]
    return sum(gaps) / len(p)


def coverage(pit, level):
    return sum(1 for v in pit if (1 - level) / 2 <= v <= (1 + level) / 2) / len(pit)


def ks_uniform(pit):
    """The largest gap, looked for just before and at every value."""
    n = len(pit)
    at = [abs(sum(1 for x in pit if x <= v) / n - v) for v in pit]
    before = [abs(sum(1 for x in pit if x < v) / n - v) for v in pit]
    return max(at + before)
