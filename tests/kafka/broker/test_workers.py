"""`headrace run --workers`: processes that share one state directory, killed as users' machines kill them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from headrace.testing import LocalKafka
from tests.kafka.broker import counting
from tests.kafka.broker.counting import PARTITIONS, Counting
from tests.kafka.broker.test_queries import free_port
from tests.kafka.conftest import NewTopic
from tests.server.conftest import Answer, ask

pytestmark = pytest.mark.broker

Protocol = Literal["classic", "streams"]

PROGRAM = """
import os
import headrace as hr
from headrace import stores

builder = hr.StreamsBuilder()
counts = (
    builder.stream(hr.Topic({source!r}, value=str))
    .group_by_key()
    .count(store=stores.key_value("counts", key=str, value=int))
)
counts.to_stream().peek(lambda key, count: print(os.getpid(), flush=True)).to(hr.Topic({target!r}, value=int))
"""


class Supervised(Counting):
    """A supervisor with its workers, as processes."""

    def __init__(self, broker: LocalKafka, folder: Path, name: str, source: str, target: str) -> None:
        super().__init__(broker, name, source, target)
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        (folder / "app.py").write_text(PROGRAM.format(source=source, target=target))

    def start(self, workers: int, protocol: Protocol = "classic", *more: str) -> None:
        properties = {
            "group.protocol": protocol,
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 200,
            "commit.interval.ms": 50,
        }
        arguments = [each for name, value in properties.items() for each in ("--set", f"{name}={value}")]
        with (self.folder / "output").open("a") as output, (self.folder / "errors").open("a") as errors:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "headrace.cli", "run", "app:builder", "--workers", str(workers)),
                    *("--application-id", self.name, "--bootstrap-servers", self.broker.bootstrap_servers),
                    *arguments,
                    *more,
                ],
                cwd=self.folder,
                stdout=output,
                stderr=errors,
                text=True,
            )

    @property
    def said(self) -> str:
        return (self.folder / "errors").read_text()

    def workers(self) -> list[int]:
        """Processes that have counted something so far."""
        return sorted(set(map(int, (self.folder / "output").read_text().split())))

    def restored(self) -> list[str]:
        return re.findall(r"restored", self.said)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def supervised(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], tmp_path: Path
) -> Iterator[Supervised]:
    found = Supervised(
        broker, tmp_path, unique("app"), new_topic(partitions=PARTITIONS), new_topic(partitions=PARTITIONS)
    )
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait()


#: Processes have to start first.
wait_for = partial(counting.wait_for, seconds=60.0)


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_workers_share_the_tasks_and_the_state_and_one_that_is_killed_comes_back(
    supervised: Supervised, protocol: Protocol
) -> None:
    supervised.start(2, protocol)
    supervised.send(3)
    wait_for(lambda: supervised.counted() == supervised.sent)
    rounds = iter(range(100))
    while len(supervised.workers()) < 2:  # one may have begun with all of them
        assert next(rounds) < 60
        supervised.send(1)
    wait_for(lambda: supervised.counted() == supervised.sent)
    killed = supervised.workers()[0]
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: "signal SIGKILL" in supervised.said)
    supervised.send(3)
    wait_for(lambda: supervised.counted() == supervised.sent)
    assert supervised.stop() == 0
    directory = supervised.folder / ".headrace" / supervised.name
    assert sorted(path.name for path in directory.glob("?_?")) == [f"0_{each}" for each in range(PARTITIONS)]
    # What was restored is what came since a worker's last commit, and no state anew.
    assert "anew" not in supervised.said
    assert supervised.said.rstrip().endswith("headrace: stopped")


def test_workers_stop_by_themselves_when_nobody_looks_after_them_any_more(supervised: Supervised) -> None:
    supervised.start(2)
    supervised.send(3)
    wait_for(lambda: supervised.counted() == supervised.sent)
    assert supervised.process is not None
    supervised.process.kill()
    supervised.process.wait()
    wait_for(lambda: not any(map(is_alive, supervised.workers())))
    supervised.start(2)
    supervised.send(3)
    wait_for(lambda: supervised.counted() == supervised.sent)
    assert supervised.stop() == 0


def test_a_mistake_ends_all_of_them_and_is_said_once(supervised: Supervised) -> None:
    supervised.start(2, "classic", "--set", "num.stream.threads=0")
    assert supervised.process is not None
    assert supervised.process.wait(60) == 2
    assert supervised.said.count("num.stream.threads") == 1


def test_a_topic_that_is_missing_is_no_reason_to_start_again_and_again(supervised: Supervised) -> None:
    supervised.broker.delete_topic(supervised.source)
    supervised.start(2)
    wait_for(lambda: "starts again in 2 s" in supervised.said)
    assert "there is no topic" in supervised.said
    assert supervised.stop() == 0


def test_each_worker_answers_for_all_over_http(supervised: Supervised) -> None:
    port = free_port()
    supervised.start(2, "classic", "--serve", f"127.0.0.1:{port}")
    supervised.send(3)

    def answer(at: int, target: str) -> Answer:
        try:
            return ask(f"http://127.0.0.1:{at}", target)
        except OSError:  # it does not listen yet
            return Answer(503, {}, {})

    def counts(at: int) -> dict[str, int]:
        found = answer(at, "/stores/counts?limit=100")
        assert isinstance(found.body, dict), found.body
        return {row["key"]: row["value"] for row in found.body.get("rows", [])}

    expected = {key.decode(): count for key, count in supervised.sent.items()}
    for at in (port, port + 1):
        wait_for(lambda at=at: len(answer(at, "/instances").body.get("instances", [])) == 2)  # type: ignore[misc]
        wait_for(lambda at=at: counts(at) == expected)  # type: ignore[misc]
        wait_for(
            lambda at=at: answer(at, "/stores/counts/key3").body == {"key": "key3", "value": 3}  # type: ignore[misc]
        )
