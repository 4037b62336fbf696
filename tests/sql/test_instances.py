"""Instances on Kafka that share a topic: one that sleeps and comes back has nothing to write any more."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.testing import LocalKafka
from tests.sql.orders import ORDERS, Order, is_written, write
from tests.sql.postgres import LocalPostgres
from tests.sql.test_crashes import make_table, rows
from tests.streams.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.broker]


class Instances:
    """Processes of one application on one broker, each with a state directory of its own."""

    def __init__(self, kafka: LocalKafka, address: str, folder: Path) -> None:
        self._kafka = kafka
        self._address = address
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        number = len(self._started)
        properties = {
            "bootstrap.servers": self._kafka.bootstrap_servers,
            "state.dir": str(self._folder / f"state-{number}"),
            "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "1000",
        }
        told = [part for name, value in properties.items() for part in ("--set", f"{name}={value}")]
        with (self._folder / f"errors-{number}.log").open("ab") as errors:
            self._started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.sql.application", self._address, *told, *options],
                    stderr=errors,
                )
            )
        return self._started[-1]

    def errors(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self._folder.glob("errors-*.log")))

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("asleep_at", ["begin:6", "position:4", "commit:6"])
def test_instance_that_wakes_up_writes_nothing_twice(
    local_kafka: LocalKafka,
    postgres: LocalPostgres,
    engines: Callable[[str], Engine],
    tmp_path: Path,
    asleep_at: str,
) -> None:
    address = postgres.make_database()
    engine = engines(address)
    make_table(engine)
    log = KafkaLog(
        ConnectionSettings.of({"bootstrap.servers": [local_kafka.bootstrap_servers]}), KafkaOptions.of({})
    )
    log.delete_topics([ORDERS.name])
    write(log, [(number, Order("tea", number * 3)) for number in range(1000)])
    instances = Instances(local_kafka, address, tmp_path)
    try:
        sleeper = instances.start("--stop-at", f"{asleep_at}:sleep")
        until(lambda: is_stopped(sleeper))
        other = instances.start()
        until(lambda: other.poll() is not None or is_written(engine, 1000))
        assert is_written(engine, 1000), instances.errors()
        os.kill(sleeper.pid, signal.SIGCONT)
        write(log, [(number, Order("tea", number * 3)) for number in range(1000, 2000)])
        until(lambda: sleeper.poll() is not None or is_written(engine, 2000))
        other.terminate()
        assert other.wait(60) == 0, instances.errors()
        # The one that slept is a member again, and has all of it.
        write(log, [(number, Order("tea", number * 3)) for number in range(2000, 3000)])
        until(lambda: sleeper.poll() is not None or is_written(engine, 3000))
        sleeper.terminate()
        assert sleeper.wait(60) == 0, instances.errors()
    finally:
        instances.close()
        log.close()
    assert rows(engine) == sorted((f"{key % 2}@{key // 2}", key, key * 3) for key in range(3000))
