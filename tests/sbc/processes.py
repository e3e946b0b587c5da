"""Replications in several processes; each compiles the model once."""

import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from tests.sbc.calibration import Calibration, Replication
from tests.sbc.subjects import SUBJECTS


def calibrate(name: str, replications: int, jobs: int, seed: int) -> list[Replication]:
    """All replications, in order, ``jobs`` at a time."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        parts = [pool.submit(_part, name, replications, seed, i, jobs) for i in range(jobs)]
        found = [one for part in parts for one in part.result()]
    return sorted(found, key=lambda one: one.number)


def _part(name: str, replications: int, seed: int, first: int, step: int) -> list[Replication]:
    logging.disable(logging.WARNING)
    calibration = Calibration(SUBJECTS[name]())
    return list(calibration.run(replications, seed, slice(first, None, step)))
