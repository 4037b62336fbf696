"""Instances come, go, sleep, die and lose their state, and brokers restart, in a random order: what comes out is still
exactly once.

`FAULT_SECONDS` and `FAULT_SEED` make it longer and another one, `FAULT_BROKERS` and `FAULT_KAFKA` take so many brokers
of that version, and with `FAULT_SHARES` two of the instances are workers that share a state directory. `make faults`
does them.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from headrace.testing import LocalKafka
from headrace.testing.local_kafka.jars import KAFKA_VERSION
from tests.faults import plain
from tests.faults.conftest import CONFIG
from tests.faults.site import Protocol, Site

SECONDS = float(os.environ.get("FAULT_SECONDS", "15"))
BROKERS = int(os.environ.get("FAULT_BROKERS", "1"))
SHARES = "FAULT_SHARES" in os.environ
VERSION = os.environ.get("FAULT_KAFKA", KAFKA_VERSION)

#: So short that sleeps outlast them.
PROPERTIES = {
    "transaction.timeout.ms": "2000",
    "request.timeout.ms": "3000",
    "session.timeout.ms": "2000",
    "heartbeat.interval.ms": "300",
}


class Campaign:
    """Folders for instances of one application, of which any number may run, and what may happen to them."""

    def __init__(self, sites: Sequence[Site], kafka: LocalKafka, dice: random.Random) -> None:
        self.dice = dice
        self.kafka = kafka
        self.sites = sites
        self.processes: dict[Site, subprocess.Popen[str]] = {}
        self.acts: list[str] = []

    # ── what may happen to an instance ───────────────────────────────────────────────────────────────────────────

    def kill(self, site: Site) -> None:
        self.pause(0.4)
        self.end(site)

    def stop(self, site: Site) -> None:
        """Let it commit and leave."""
        process = self.processes.pop(site)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    def restart(self, site: Site) -> None:
        self.end(site)
        self.start(site)

    def lose_state(self, site: Site) -> None:
        for each in self.sites:
            if each.folder == site.folder:
                self.end(each)
        for path in (site.folder / "state").glob("*"):  # it may not have come to make it
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.start(site)

    def sleep_shortly(self, site: Site) -> None:
        self.processes[site].send_signal(signal.SIGSTOP)
        self.pause(2)
        self.processes[site].send_signal(signal.SIGCONT)

    def oversleep(self, site: Site) -> None:
        """Sleep until session and transaction are over: others take over, and it must not commit what it had."""
        self.processes[site].send_signal(signal.SIGSTOP)
        time.sleep(self.dice.uniform(4, 6))
        self.processes[site].send_signal(signal.SIGCONT)

    def leave_alone(self, site: Site) -> None:
        self.pause(1)

    # ── what may happen otherwise ────────────────────────────────────────────────────────────────────────────────

    def lose_broker(self) -> None:
        broker = self.dice.randrange(BROKERS)
        self.dice.choice([self.kafka.kill_broker, self.kafka.stop_broker])(broker)
        self.pause(2)
        self.kafka.start_broker(broker)

    def start(self, site: Site) -> None:
        """Start an instance. Whether it gets as far as running is left to chance."""
        self.processes[site] = plain.start(site)
        if self.dice.random() < 0.7:
            process = self.processes[site]
            assert process.stdout is not None
            process.stdout.readline()

    def end(self, site: Site) -> None:
        process = self.processes.pop(site, None)
        if process is not None:
            process.kill()
            process.communicate()

    def end_all(self) -> None:
        for site in self.sites:
            self.end(site)

    def pause(self, seconds_max: float) -> None:
        """Moments are what is tested."""
        time.sleep(self.dice.uniform(0, seconds_max))

    def step(self) -> None:
        """Let something happen."""
        for site in [site for site, process in self.processes.items() if process.poll() is not None]:
            self.end(site)
        idle = [site for site in self.sites if site not in self.processes]
        if not self.processes or (idle and self.dice.random() < 0.35):
            self.act("start", self.start, self.dice.choice(idle))
            return
        if self.dice.random() < 0.1:
            self.acts.append("lose broker")
            self.lose_broker()
            return
        site = self.dice.choice(list(self.processes))
        happens = [
            self.kill,
            self.stop,
            self.restart,
            self.lose_state,
            self.sleep_shortly,
            self.oversleep,
            self.leave_alone,
        ]
        chosen = self.dice.choice(happens)
        self.act(chosen.__name__, chosen, site)

    def act(self, name: str, do: Callable[[Site], None], site: Site) -> None:
        self.acts.append(f"{name} {site.folder.name}{site.worker or ''}")
        do(site)


@pytest.fixture
def kafka(local_kafka_is_there: None) -> Iterator[LocalKafka]:
    with LocalKafka(BROKERS, controller=BROKERS == 1, version=VERSION, config=CONFIG) as kafka:
        yield kafka


@pytest.mark.broker
@pytest.mark.process
@pytest.mark.timeout(SECONDS + 900)
@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_whatever_happens_nothing_is_lost_or_doubled(
    tmp_path: Path, kafka: LocalKafka, protocol: Protocol
) -> None:
    seed = int(os.environ.get("FAULT_SEED", "23"))
    places: list[tuple[str, int, int | None]] = [("first", 1, None), ("second", 2, None), ("third", 1, None)]
    if SHARES:
        places = [("first", 1, 1), ("first", 2, 2), ("second", 2, None)]
    sites = []
    for name, threads, worker in places:
        (tmp_path / name).mkdir(exist_ok=True)
        sites.append(
            Site(
                tmp_path / name,
                kafka.bootstrap_servers,
                properties=PROPERTIES,
                protocol=protocol,
                threads=threads,
                worker=worker,
            )
        )
    campaign = Campaign(sites, kafka, random.Random(seed))
    feed = plain.Feed(sites[0], seed)
    deadline = time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline:
            feed.write(campaign.dice.randrange(500, 3_000))
            campaign.step()
    finally:
        campaign.end_all()
        print(f"seed {seed}, {len(campaign.acts)} acts: {', '.join(campaign.acts)}")
    # Each has state that is behind the others' now.
    for site in (*sites, sites[0]):
        plain.drain(site)
    feed.close()
    plain.check(sites[0], feed.written)
