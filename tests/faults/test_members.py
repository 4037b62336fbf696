"""What befalls a member of a group, where users of other libraries have seen records lost or doubled."""

import os
import shutil
from pathlib import Path

import pytest

from headrace.testing import LocalKafka
from tests.budget import some
from tests.faults import plain
from tests.faults.site import SHORT_SESSION, Protocol, two_sites

pytestmark = [
    pytest.mark.broker,
    pytest.mark.process,
    pytest.mark.timeout(900),
]


@pytest.mark.parametrize(
    ("protocol", "step"),
    some(
        [("classic", "transaction"), ("classic", "state"), ("streams", "state"), ("streams", "transaction")],
        2,
    ),
)
def test_tasks_that_are_taken_away_in_the_midst_of_a_commit_are_done_once(
    tmp_path: Path, kafka: LocalKafka, protocol: Protocol, step: str
) -> None:
    first, second = two_sites(tmp_path, kafka.bootstrap_servers, properties=SHORT_SESSION, protocol=protocol)
    feed = plain.Feed(first, seed=21)
    feed.write(3_000)
    older = plain.start(first, "--stop-at", f"{step}:2:sleep")
    os.waitid(os.P_PID, older.pid, os.WSTOPPED | os.WNOWAIT)
    plain.take_over_and_wake(first, second, feed, older, 1_000)


@pytest.mark.parametrize("protocol", some(["streams", "classic"], 1))
def test_transaction_that_a_dead_instance_has_left_open_holds_up_who_takes_over_until_its_time_is_over(
    tmp_path: Path, kafka: LocalKafka, protocol: Protocol
) -> None:
    first, second = two_sites(tmp_path, kafka.bootstrap_servers, properties=SHORT_SESSION, protocol=protocol)
    feed = plain.Feed(first, seed=22)
    feed.write(3_000)
    dead = plain.start(first, "--stop-at", "transaction:2")
    dead.communicate(timeout=120)
    shutil.rmtree(first.folder / "state")  # nobody comes back as what it was
    plain.drain(second)
    feed.close()
    plain.check(second, feed.written)


@pytest.mark.parametrize("protocol", some(["classic", "streams"], 1))
def test_rebalance_in_the_midst_of_a_restore_costs_no_state(
    tmp_path: Path, kafka: LocalKafka, protocol: Protocol
) -> None:
    first, second = two_sites(tmp_path, kafka.bootstrap_servers, properties=SHORT_SESSION, protocol=protocol)
    feed = plain.Feed(first, seed=23)
    feed.write(20_000)
    plain.drain(first)
    for site in (first, second):
        # It restores all of it, from the beginning, while the other one comes.
        shutil.rmtree(site.folder / "state", ignore_errors=True)
    processes = [plain.start(site) for site in (first, second)]
    plain.wait_until_running(first, processes[0])
    processes[0].kill()
    processes[0].communicate()
    feed.write(1_000)
    plain.wait_until_drained(second, processes[1])
    processes[1].kill()
    processes[1].communicate()
    plain.drain(second)
    feed.close()
    plain.check(second, feed.written)
