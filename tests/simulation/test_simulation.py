"""Workers, their members and a model of brokers together, in virtual time: nothing is lost, and nothing is doubled.

`SIM_SEED=7` replays a schedule, `SIM_SEED=1000-2000` runs a range.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.budget import examples
from tests.simulation.schedule import Protocol, Schedule


def seeds() -> Sequence[int]:
    wanted = os.environ.get("SIM_SEED")
    if wanted is None:
        return range(examples(15))
    first, _, last = wanted.partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.campaign
@pytest.mark.parametrize("protocol", ["classic", "streams"])
@pytest.mark.parametrize("seed", seeds())
def test_whatever_happens_nothing_is_lost_or_doubled_and_all_is_shared_evenly_again(
    seed: int, protocol: Protocol, tmp_path: Path
) -> None:
    schedule = Schedule(seed, protocol, tmp_path)
    try:
        schedule.run()
    except BaseException as error:
        error.add_note(f"SIM_SEED={seed}, {protocol}: {'; '.join(schedule.acts)}")
        raise
