"""Many questions at once to the current release's values, for a service."""

import asyncio

from tests.cache.conftest import PATIENT_S
from toolkit.cache.records import Records

CROWD, FLIPS = 32, 20


def test_a_crowd_is_answered_from_each_release_that_follows(server, publish):
    async def ask():
        records = Records(
            server.url, lambda _, _pointer, _entry, value: value, len, patience_s=PATIENT_S
        )
        answers, over = 0, False

        async def one(product_id):
            nonlocal answers
            while not over:
                told = await records.many([product_id, 1 + product_id % 5])
                assert {found.stale_s for found in told.values()} == {None}
                answers += 1

        publish(mark="0")
        async with records.watched(), asyncio.TaskGroup() as crowd:
            for number in range(CROWD):
                crowd.create_task(one(1 + number % 5))
            for number in range(1, FLIPS + 1):
                await asyncio.to_thread(publish, mark=str(number))
                goal = answers + 2 * CROWD
                while answers < goal:
                    await asyncio.sleep(0.001)
            over = True

    asyncio.run(ask())
