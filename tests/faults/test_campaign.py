"""Kills, sleeps, takeovers and lost brokers in a random order: what comes out is still exactly once.

`FAULT_SECONDS` and `FAULT_SEED` make it longer and another one; `make faults` does.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.testing import LocalKafka
from tests.faults import plain
from tests.faults.site import two_sites

SECONDS = float(os.environ.get("FAULT_SECONDS", "15"))

#: So short that sleeps outlast them.
PROPERTIES = {
    "transaction.timeout.ms": "2000",
    "request.timeout.ms": "3000",
    "session.timeout.ms": "2000",
    "heartbeat.interval.ms": "300",
}

#: What a broker says that has restarted and does not know its own partitions yet, as if they were deleted.
MARKERS_DROPPED = "these partitions are likely deleted already and hence can be skipped"


class Campaign:
    """Two folders for one application, of which one runs in each, and what may happen to them."""

    def __init__(self, folder: Path, kafka: LocalKafka, dice: random.Random) -> None:
        self.dice = dice
        self.kafka = kafka
        self.sites = two_sites(folder, kafka.bootstrap_servers, properties=PROPERTIES)
        self.active = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the application where it is active. Whether it gets as far as running is left to chance."""
        self.process = plain.start(self.sites[self.active])
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def kill(self, process: subprocess.Popen[str]) -> None:
        self.pause(0.4)
        self.end()

    def sleep_shortly(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGSTOP)
        self.pause(2)
        process.send_signal(signal.SIGCONT)

    def oversleep(self, process: subprocess.Popen[str]) -> None:
        """Sleep until the transaction is over."""
        process.send_signal(signal.SIGSTOP)
        time.sleep(self.dice.uniform(4, 6))
        process.send_signal(signal.SIGCONT)

    def take_over(self, process: subprocess.Popen[str]) -> None:
        """Start the other one while this one sleeps, and wake it then."""
        process.send_signal(signal.SIGSTOP)
        self.active = 1 - self.active
        self.start()
        process.send_signal(signal.SIGCONT)
        self.pause(1)
        process.kill()
        process.communicate()

    def lose_broker(self, process: subprocess.Popen[str]) -> None:
        self.dice.choice([self.kafka.kill_broker, self.kafka.stop_broker])(0)
        self.pause(2)
        self.kafka.start_broker(0)

    def leave_alone(self, process: subprocess.Popen[str]) -> None:
        self.pause(1)

    def pause(self, seconds_max: float) -> None:
        """Moments are what is tested."""
        time.sleep(self.dice.uniform(0, seconds_max))

    def step(self) -> None:
        """Let something happen; if nobody runs any more, start."""
        if self.process is None or self.process.poll() is not None:
            self.end()
            self.start()
            return
        acts: list[Callable[[subprocess.Popen[str]], None]] = [
            self.kill,
            self.kill,
            self.sleep_shortly,
            self.oversleep,
            self.take_over,
            self.take_over,
            self.lose_broker,
            self.leave_alone,
        ]
        self.dice.choice(acts)(self.process)


@pytest.mark.broker
@pytest.mark.process
@pytest.mark.timeout(SECONDS + 900)
def test_whatever_happens_nothing_is_lost_or_doubled(tmp_path: Path, kafka: LocalKafka) -> None:
    seed = int(os.environ.get("FAULT_SEED", "23"))
    campaign = Campaign(tmp_path, kafka, random.Random(seed))
    feed = plain.Feed(campaign.sites[0], seed)
    deadline = time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline:
            feed.write(campaign.dice.randrange(500, 6_000))
            campaign.step()
    finally:
        campaign.end()
    try:
        # Each has state that is behind the other's now.
        for site in (*campaign.sites, campaign.sites[0]):
            plain.drain(site)
    except subprocess.TimeoutExpired:
        if MARKERS_DROPPED in kafka.logs():
            pytest.skip(
                "the restarted broker has dropped markers of a transaction, which is open for ever now"
            )
        raise
    feed.close()
    plain.check(campaign.sites[0], feed.written)
