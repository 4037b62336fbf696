"""Stores are asked for all the time while instances are killed, sleep, and come back: each answer is right, or refused.

What is right: at least what a reader of committed data had seen of the key before the question, or, where it may be
stale, that much earlier; and no more than was sent when the answer came. `QUERY_FAULT_SECONDS` lets it go on for
longer, `QUERY_FAULT_SEED` replays one.
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
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.testing import LocalKafka
from tests.kafka.broker.test_queries import free_port
from tests.kafka.conftest import NewTopic

pytestmark = [pytest.mark.broker, pytest.mark.campaign]

SECONDS = float(os.environ.get("QUERY_FAULT_SECONDS", "25"))
SEED = int(os.environ.get("QUERY_FAULT_SEED", "7"))
PARTITIONS = 6
KEYS = [f"key{number}" for number in range(30)]
STALE_SECONDS = 4.0
#: Longer than the session of an instance, so that others have its tasks when it wakes.
SLEEP_SECONDS = 9.0

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
    committed: dict[str, deque[tuple[float, int]]] = field(
        default_factory=lambda: {key: deque([(0.0, 0)], maxlen=5_000) for key in KEYS}
    )

    def least(self, key: str, at: float) -> int:
        """How much was known to be committed at a moment."""
        return max(count for since, count in list(self.committed[key]) if since <= at)


class Asker(threading.Thread):
    """Asks any instance for any key, and judges the answers."""

    def __init__(self, seed: int, instances: list[Instance], truth: Truth, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._random = random.Random(seed)
        self._instances = instances
        self._truth = truth
        self._ending = stop
        self.answered: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.took: list[float] = []

    def run(self) -> None:
        while not self._ending.is_set():
            self._ask(self._random.choice(self._instances), self._random.choice(KEYS))
            time.sleep(0.01)

    def _ask(self, instance: Instance, key: str) -> None:
        is_stale = self._random.random() < 0.3
        target = f"/stores/counts/{key}?timeout=2s" + (f"&stale={STALE_SECONDS:.0f}s" if is_stale else "")
        asked_at = time.monotonic()
        least = self._truth.least(key, asked_at - (STALE_SECONDS if is_stale else 0))
        connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=5)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            status, body = response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            self.answered["nobody"] += 1  # it was killed, or sleeps
            return
        finally:
            connection.close()
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
                truth.committed[key.decode()].append((now, int.from_bytes(value, "big")))
    reader.close()


def harm(rng: random.Random, instances: list[Instance], until: float) -> Iterator[str]:
    """Kill one, or let one sleep for longer than its session; and say so."""
    while time.monotonic() < until:
        victim = rng.choice(instances)
        if rng.random() < 0.5:
            victim.kill()
            yield f"killed {victim.port}"
            time.sleep(rng.uniform(0, 2))
            victim.start()
        else:
            victim.send(signal.SIGSTOP)
            yield f"sleeps {victim.port}"
            time.sleep(SLEEP_SECONDS)
            victim.send(signal.SIGCONT)
        time.sleep(rng.uniform(2, 5))


@pytest.mark.timeout(300 + 2 * SECONDS)
@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_each_answer_is_right_or_refused_whatever_becomes_of_instances(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], tmp_path: Path, protocol: str
) -> None:
    source, target = new_topic(partitions=PARTITIONS), new_topic(partitions=PARTITIONS)
    (tmp_path / "app.py").write_text(PROGRAM.format(source=source, target=target))
    properties = {
        "group.protocol": protocol,
        "session.timeout.ms": 6_000,
        "heartbeat.interval.ms": 200,
        "commit.interval.ms": 50,
        "num.standby.replicas": 1,
        "transaction.timeout.ms": 6_000,
    }
    arguments = [
        *("run", "app:builder", "--application-id", unique("app")),
        *("--bootstrap-servers", broker.bootstrap_servers),
        *(each for name, value in properties.items() for each in ("--set", f"{name}={value}")),
    ]
    instances = [Instance(tmp_path, number, arguments) for number in range(3)]
    truth, stop = Truth(), threading.Event()
    log = KafkaLog(
        ConnectionSettings.of({"bootstrap.servers": broker.bootstrap_servers}), KafkaOptions.of({})
    )
    askers = [Asker(SEED + number, instances, truth, stop) for number in range(4)]
    others = [
        threading.Thread(target=feed, args=(log, source, truth, stop)),
        threading.Thread(target=look, args=(log, target, truth, stop)),
    ]
    harmed: list[str] = []
    try:
        for each in instances:
            each.start()
        for thread in (*others, *askers):
            thread.start()
        deadline = time.monotonic() + 60
        while sum(asker.answered["right"] for asker in askers) < 50 and time.monotonic() < deadline:
            time.sleep(0.1)
        harmed += harm(random.Random(SEED), instances, time.monotonic() + SECONDS)
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
    answered = sum((asker.answered for asker in askers), Counter[str]())
    took = sorted(second for asker in askers for second in asker.took)
    print(protocol, harmed, dict(answered), f"p50 {took[len(took) // 2] * 1000:.1f} ms")
    assert [wrong for asker in askers for wrong in asker.wrong] == [], harmed
    assert answered["right"] > SECONDS, (harmed, [each.said[-2000:] for each in instances])
    assert answered["stale"] > 0
