"""Stores are asked for all the time while instances are killed, sleep, and come back: each answer is right, or refused.

What is right: at least what a reader of committed data had seen of the key before the question, or, where it may be
stale, that much earlier; and no more than was sent when the answer came. Two of three keys are of another instance than
the one that is asked. The campaign asks 500 times a second, or as `QUERY_FAULT_RATE` says; `QUERY_FAULT_SECONDS` lets
it go on for longer, `QUERY_FAULT_SEED` replays one. The short one has one rebalance and one kill.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.testing import LocalKafka
from tests.kafka.broker.test_queries import free_port
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

SECONDS = float(os.environ.get("QUERY_FAULT_SECONDS", "25"))
RATE = float(os.environ.get("QUERY_FAULT_RATE", "500"))
SEED = int(os.environ.get("QUERY_FAULT_SEED", "7"))
PARTITIONS = 6
KEYS = [f"key{number}" for number in range(30)]
STALE_SECONDS = 4.0
#: Longer than the session of an instance, so that others have its tasks when it wakes.
SLEEP_SECONDS = 9.0
#: Each has a thread, and a connection to each instance; some wait for one that sleeps, for seconds.
ASKERS = 32

Harm = Literal["kill", "sleep", "rebalance"]
HARMS: tuple[Harm, ...] = ("kill", "sleep", "rebalance")

PROGRAM = """
import headrace as hr
from headrace import stores

builder = hr.StreamsBuilder()
builder.stream(hr.Topic({source!r}, value=str)).group_by_key().count(
    store=stores.key_value("counts", key=str, value=int, caching=False)
).to_stream().to(hr.Topic({target!r}, value=int))
"""


class Instance:
    """One process; killed, put to sleep, and started again under the same port and state directory."""

    def __init__(self, folder: Path, number: int, arguments: list[str]) -> None:
        self.folder = folder
        self.port = free_port()
        self._arguments = [
            *arguments,
            *("--serve", f"127.0.0.1:{self.port}", "--set", f"state.dir={folder / f'state{number}'}"),
        ]
        self._errors = folder / f"errors{number}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._errors.open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "headrace.cli", *self._arguments],
                cwd=self.folder,
                stderr=errors,
                stdout=subprocess.DEVNULL,
            )

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """Let it leave its group, and end."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)

    @property
    def said(self) -> str:
        return self._errors.read_text()


@dataclass
class Truth:
    """What has been sent of each key, and since when it is known that so much is committed."""

    sent: Counter[str] = field(default_factory=Counter)
    since: dict[str, list[float]] = field(default_factory=lambda: {key: [0.0] for key in KEYS})
    counts: dict[str, list[int]] = field(default_factory=lambda: {key: [0] for key in KEYS})

    def was_committed(self, key: str, count: int, at: float) -> None:
        """Note that so much was seen, by one thread alone: the count first, which whoever looks finds by the time."""
        self.counts[key].append(max(count, self.counts[key][-1]))
        self.since[key].append(at)

    def least(self, key: str, at: float) -> int:
        """How much was known to be committed at a moment."""
        return self.counts[key][bisect_right(self.since[key], at) - 1]


class Asker(threading.Thread):
    """Asks any instance for any key, and judges the answers."""

    def __init__(
        self, seed: int, instances: list[Instance], truth: Truth, stop: threading.Event, *, rate: float
    ) -> None:
        super().__init__(daemon=True)
        self._pause_s = 1 / rate
        self._connections: dict[int, http.client.HTTPConnection] = {}
        self._random = random.Random(seed)
        self._instances = instances
        self._truth = truth
        self._ending = stop
        self.answered: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.took: list[float] = []

    def run(self) -> None:
        next_at = time.monotonic()
        while not self._ending.is_set():
            self._ask(self._random.choice(self._instances), self._random.choice(KEYS))
            # Who is late asks at once, and does not catch up on what it has missed while somebody slept.
            next_at = max(next_at + self._pause_s, time.monotonic() - 1)
            time.sleep(max(0.0, next_at - time.monotonic()))
        for connection in self._connections.values():
            connection.close()

    def _answer(self, port: int, target: str) -> tuple[int, Any]:
        """Ask over a connection that is kept; once more, where the other side has closed that meanwhile."""
        kept = self._connections.pop(port, None)
        try:
            return self._exchanged(port, target, kept or self._new(port))
        except (ConnectionError, http.client.RemoteDisconnected):
            if kept is None:
                raise
            return self._exchanged(port, target, self._new(port))

    def _new(self, port: int) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    def _exchanged(self, port: int, target: str, connection: http.client.HTTPConnection) -> tuple[int, Any]:
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            found = response.status, json.loads(response.read())
        except BaseException:
            connection.close()
            raise
        self._connections[port] = connection
        return found

    def _ask(self, instance: Instance, key: str) -> None:
        is_stale = self._random.random() < 0.3
        target = f"/stores/counts/{key}?timeout=2s" + (f"&stale={STALE_SECONDS:.0f}s" if is_stale else "")
        asked_at = time.monotonic()
        least = self._truth.least(key, asked_at - (STALE_SECONDS if is_stale else 0))
        try:
            status, body = self._answer(instance.port, target)
        except (OSError, http.client.HTTPException):
            self.answered["nobody"] += 1  # it was killed, or sleeps
            return
        most = self._truth.sent[key]
        count = body["value"] if status == 200 else 0
        if status == 503:
            self.answered["unavailable"] += 1
        elif status not in (200, 404) or not least <= count <= most:
            self.wrong.append(f"{target} at {instance.port}: {status} {body}, but {least} to {most}")
        else:
            self.answered["stale" if is_stale else "right"] += 1
            self.took.append(time.monotonic() - asked_at)


def feed(log: KafkaLog, source: str, truth: Truth, stop: threading.Event) -> None:
    """Send each key again and again."""
    writer = log.writer("feeder")
    rng = random.Random(SEED)
    while not stop.is_set():
        columns: dict[int, Columns] = {}
        for key in rng.sample(KEYS, 10):
            truth.sent[key] += 1
            place = partition_for(key.encode(), PARTITIONS)
            columns.setdefault(place, Columns()).append(key.encode(), b"x", int(time.time() * 1000), ())
        for place, those in columns.items():
            writer.append(source, place, those)
        writer.commit({})
        time.sleep(0.02)
    writer.close()


def look(log: KafkaLog, target: str, truth: Truth, stop: threading.Event) -> None:
    """Read what is committed."""
    reader = log.reader()
    reader.assign({TopicPartition(target, number): 0 for number in range(PARTITIONS)})
    while not stop.is_set():
        for chunk in reader.poll(100):
            now = time.monotonic()
            for key, value in zip(chunk.keys, chunk.values):
                assert key is not None
                assert value is not None
                truth.was_committed(key.decode(), int.from_bytes(value, "big"), now)
    reader.close()


def harms(rng: random.Random, until: float) -> Iterator[Harm]:
    """Kill one, let one leave and come back, or let one sleep for longer than its session; again and again."""
    while True:
        for what in rng.sample(HARMS, len(HARMS)):
            if time.monotonic() >= until:
                return
            yield what
            time.sleep(rng.uniform(2, 5))


def harm(rng: random.Random, instances: list[Instance], what: Harm) -> str:
    """Do it to one of them, and say so."""
    victim = rng.choice(instances)
    match what:
        case "kill":
            victim.kill()
            time.sleep(rng.uniform(0, 2))
            victim.start()
        case "rebalance":
            victim.stop()
            time.sleep(rng.uniform(0, 2))
            victim.start()
        case "sleep":
            victim.send(signal.SIGSTOP)
            time.sleep(SLEEP_SECONDS)
            victim.send(signal.SIGCONT)
    return f"{what} of {victim.port}"


@dataclass
class Asked:
    """What was asked, what came of it, and what was done to the instances meanwhile."""

    seconds: float
    answered: Counter[str]
    wrong: list[str]
    took: list[float]
    harmed: list[str]

    def __str__(self) -> str:
        took = sorted(self.took)
        rate = sum(self.answered.values()) / self.seconds
        half, most = (took[int(len(took) * part)] * 1000 for part in (0.5, 0.99))
        return f"{self.harmed} {dict(self.answered)}, {rate:.0f}/s, p50 {half:.1f} ms, p99 {most:.0f} ms"


@dataclass
class Group:
    """Three instances on one broker, fed and asked."""

    broker: LocalKafka
    folder: Path
    source: str
    target: str
    name: str

    def asked(self, protocol: str, *, rate: float, harming: Callable[[], Iterable[Harm]]) -> Asked:
        """Ask so often a second while harm is done; all instances have answered before."""
        (self.folder / "app.py").write_text(PROGRAM.format(source=self.source, target=self.target))
        properties = {
            "group.protocol": protocol,
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 200,
            "commit.interval.ms": 50,
            "num.standby.replicas": 1,
            "transaction.timeout.ms": 6_000,
        }
        arguments = [
            *("run", "app:builder", "--application-id", self.name),
            *("--bootstrap-servers", self.broker.bootstrap_servers),
            *(each for name, value in properties.items() for each in ("--set", f"{name}={value}")),
        ]
        instances = [Instance(self.folder, number, arguments) for number in range(3)]
        truth, stop = Truth(), threading.Event()
        log = KafkaLog(
            ConnectionSettings.of({"bootstrap.servers": self.broker.bootstrap_servers}), KafkaOptions.of({})
        )
        askers = [
            Asker(SEED + number, instances, truth, stop, rate=rate / ASKERS) for number in range(ASKERS)
        ]
        others = [
            threading.Thread(target=feed, args=(log, self.source, truth, stop)),
            threading.Thread(target=look, args=(log, self.target, truth, stop)),
        ]
        rng, harmed, began = random.Random(SEED), list[str](), time.monotonic()
        try:
            for each in instances:
                each.start()
            for thread in (*others, *askers):
                thread.start()
            deadline = began + 60
            while sum(asker.answered["right"] for asker in askers) < 50 and time.monotonic() < deadline:
                time.sleep(0.1)
            for asker in askers:  # those who asked before anybody was there
                asker.answered.clear()
                asker.took.clear()
            began = time.monotonic()
            for what in harming():
                harmed.append(harm(rng, instances, what))
            time.sleep(2)
        finally:
            stop.set()
            for thread in (*others, *askers):
                if thread.ident is not None:
                    thread.join(30)
            for each in instances:
                if each.process is not None:
                    each.send(signal.SIGCONT)
                each.kill()
            log.close()
        found = Asked(
            time.monotonic() - began,
            sum((asker.answered for asker in askers), Counter[str]()),
            [wrong for asker in askers for wrong in asker.wrong],
            [second for asker in askers for second in asker.took],
            harmed,
        )
        assert found.wrong == [], harmed
        assert found.answered["right"] > 0, (harmed, [each.said[-2000:] for each in instances])
        assert found.answered["stale"] > 0
        print(protocol, found)
        return found


@pytest.fixture
def group(broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], tmp_path: Path) -> Group:
    return Group(
        broker, tmp_path, new_topic(partitions=PARTITIONS), new_topic(partitions=PARTITIONS), unique("app")
    )


@pytest.mark.campaign
@pytest.mark.timeout(300 + 2 * SECONDS)
@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_each_answer_is_right_or_refused_whatever_becomes_of_instances(group: Group, protocol: str) -> None:
    found = group.asked(
        protocol, rate=RATE, harming=lambda: harms(random.Random(SEED), time.monotonic() + SECONDS)
    )
    assert found.answered["right"] > SECONDS


@pytest.mark.timeout(180)
def test_each_answer_is_right_or_refused_in_a_rebalance_and_after_a_kill(group: Group) -> None:
    found = group.asked("classic", rate=100, harming=lambda: ("rebalance", "kill"))
    assert [each.split()[0] for each in found.harmed] == ["rebalance", "kill"]
