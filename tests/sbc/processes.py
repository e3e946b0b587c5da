"""Replications in several processes; each compiles the model once."""

import json
import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from pathlib import Path

from tests.sbc.calibration import Calibration, Replication, Values
from tests.sbc.subjects import SUBJECTS


def calibrate(name: str, replications: int, jobs: int, seed: int, lines: Path) -> list[Replication]:
    """All replications, in order, ``jobs`` at a time.

    Each is a line of the file ``lines`` as soon as it ends; those that stand there already are
    not done again.
    """
    done = lines.read_text().splitlines() if lines.exists() else []
    found = [Replication(**json.loads(line)) for line in done]
    left = set(range(replications)) - {one.number for one in found}
    context, of = multiprocessing.get_context("spawn"), (name, replications, seed)
    with ProcessPoolExecutor(jobs, mp_context=context) as pool, lines.open("a") as file:
        for task in as_completed([pool.submit(_one, number, *of) for number in sorted(left)]):
            found.append(task.result())
            file.write(json.dumps(asdict(found[-1])) + "\n")
            file.flush()
    return sorted(found, key=lambda one: one.number)


@cache
def _begun(name: str, replications: int, seed: int) -> tuple[Calibration, list[Values]]:
    logging.disable(logging.WARNING)
    calibration = Calibration(SUBJECTS[name]())
    return calibration, calibration.truths(replications, seed)


def _one(number: int, name: str, replications: int, seed: int) -> Replication:
    calibration, truths = _begun(name, replications, seed)
    return calibration.replicate(number, truths[number], seed)
