"""How long records wait while instances come and go: headrace's, and Kafka Streams' on the same broker in turn.

`python -m benchmarks.instances [--protocol classic|streams] [--system headrace|kafka-streams] [--session 6000]
[--partitions 8] [--state 20000]` prints a JSON line for each thing that happens: how many partitions another instance
has then, and the longest that a record waited for its result in one of these, and in one of the others (ms; a commit
each 100 ms is in it). What happens: nothing, for comparison; an instance is killed that another one follows; it comes
back; it is stopped; it comes back once more; it is killed, and started again at once in its own directory.

`--rolling 4` restarts four instances instead, one after another as a new version is rolled out: each has a
`group.instance.id`, is stopped, and started again at once. `--no-ids` leaves the ids out.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.log.port import Log, TopicSpec
from headrace.streams.config import Config
from headrace.streams.logs import open_log
from headrace.testing import LocalKafka

HERE = Path(__file__).parent
SYSTEMS = ("headrace", "kafka-streams")

#: Between two records of a partition, and what they may wait for where nothing happens.
FEED_SECONDS = 0.02
CALM_SECONDS = 3.0

#: How long standbys are given before anything happens.
STANDBY_SECONDS = 5.0


class Seen(NamedTuple):
    """A result: who made it, when its record was written, and when it was read (seconds)."""

    member: str
    written: float
    read: float


class Traffic:
    """Writes a record to each partition every few milliseconds, and reads who has counted it."""

    def __init__(self, servers: str, source: str, target: str, partitions: int, keys: int) -> None:
        self._config = Config(properties={"bootstrap.servers": servers})
        self._source, self._target = source, target
        self._partitions = partitions
        self._keys = _keys(partitions, max(keys, 1_000))
        self._is_over = threading.Event()
        self.seen: dict[int, list[Seen]] = defaultdict(list)
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._write, self._read)]

    def fill(self) -> None:
        """Write what makes the state: each of its keys once."""
        log = open_log(self._config)
        writer = log.writer("fill")
        for partition in range(self._partitions):
            columns = Columns()
            for key in self._keys[partition]:
                columns.append(key, b"x" * 100, _now_ms(), ())
            writer.append(self._source, partition, columns)
        writer.commit({})
        writer.close()
        log.close()

    def begin(self) -> None:
        """Start both."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop both."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        log = open_log(self._config)
        writer = log.writer("feed")
        number = 0
        while not self._is_over.wait(FEED_SECONDS):
            number += 1
            for partition in range(self._partitions):
                columns = Columns()
                columns.append(self._keys[partition][number % 1_000], b"x", _now_ms(), ())
                writer.append(self._source, partition, columns)
            writer.commit({})
        writer.close()
        log.close()

    def _read(self) -> None:
        log = open_log(self._config)
        places = [TopicPartition(self._target, each) for each in range(self._partitions)]
        reader = log.reader()
        reader.assign(log.end_offsets(places))
        while not self._is_over.is_set():
            for chunk in reader.poll(50):
                now = time.time()
                self.seen[chunk.partition] += [
                    Seen((value or b"").decode(), timestamp / 1000, now)
                    for value, timestamp in zip(chunk.values, chunk.timestamps)
                ]
        reader.close()
        log.close()

    def owners(self) -> dict[int, str]:
        """Who has counted last in each partition."""
        return {partition: rows[-1].member for partition, rows in self.seen.items() if rows}

    def is_calm(self) -> bool:
        """Whether all partitions have had results within the last half of a second, each by one member for a while."""
        now = time.time()
        return len(self.seen) == self._partitions and all(
            now - rows[-1].written < 0.7
            and len({row.member for row in rows if row.read > now - CALM_SECONDS}) == 1
            for rows in self.seen.values()
            if rows
        )

    def worst_ms(self, since: float) -> dict[int, float]:
        """The longest that a record waited that was written since then, or a little before it, by partition."""
        return {
            partition: 1000 * max(row.read - row.written for row in rows if row.read > since)
            for partition, rows in self.seen.items()
        }


class Event(NamedTuple):
    """What happens to one of the instances, and how many there are then."""

    what: str
    name: str
    acts: tuple[str, ...]
    members: int


#: What happens to one of two.
ACCIDENTS = (
    Event("nothing", "two", (), 2),
    Event("killed, with a standby elsewhere", "two", ("kill",), 1),
    Event("comes back", "two", ("start",), 2),
    Event("stopped", "two", ("stop",), 1),
    Event("comes back once more", "two", ("start",), 2),
    Event("killed and started again at once", "two", ("kill", "start"), 2),
)


def rolling(names: Sequence[str]) -> tuple[Event, ...]:
    """Return what happens in a rolling restart."""
    restarts = [Event("restarted", name, ("stop", "start"), len(names)) for name in names]
    return (Event("nothing", names[0], (), len(names)), *restarts)


class Members:
    """Instances of one system, as processes."""

    def __init__(
        self,
        system: str,
        folder: Path,
        source: str,
        target: str,
        properties: Mapping[str, str],
        *,
        has_ids: bool = False,
    ) -> None:
        self._system = system
        self._has_ids = has_ids
        self._folder = folder
        self._topics = source, target
        self._properties = properties
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start one, in its own directory."""
        properties = {**self._properties, "state.dir": str(self._folder / name)}
        if self._has_ids:
            properties["group.instance.id"] = name
        command = (
            [sys.executable, "-m", "benchmarks.member"]
            if self._system == "headrace"
            else ["java", "-Xmx512m", "-cp", java_class_path(), "Member"]
        )
        with (self._folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*command, name, *self._topics, *(f"{key}={value}" for key, value in properties.items())],
                stdout=log,
                stderr=log,
                cwd=HERE.parent,
            )

    def do(self, act: str, name: str) -> None:
        """Do what one is to do: `start`, `stop` or `kill`."""
        {"start": self.start, "stop": self.stop, "kill": self.kill}[act](name)

    def kill(self, name: str) -> None:
        """Kill one."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        """Let one commit and leave."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    def close(self) -> None:
        """Kill all that are left."""
        for name in list(self.processes):
            self.kill(name)


def java_class_path() -> str:
    """Return where Member.class is, compiled, and Kafka Streams."""
    script = HERE.parent / "tests" / "java_class_path"
    ran = subprocess.run(
        [script, "member", HERE / "baseline" / "pom.xml", HERE / "baseline" / "Member.java"],
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stdout.strip()


def measure(
    system: str, kafka: LocalKafka, options: argparse.Namespace, folder: Path
) -> Iterator[dict[str, object]]:
    """Let all of it happen to one system."""
    application = f"instances-{system}-{options.protocol}-{os.getpid()}"
    source, target = f"{application}-in", f"{application}-out"
    _make_topics(kafka, [source, target], options.partitions)
    properties = {
        "application.id": application,
        "bootstrap.servers": kafka.bootstrap_servers,
        "processing.guarantee": "exactly_once_v2",
        "group.protocol": options.protocol,
        "commit.interval.ms": "100",
        "num.standby.replicas": "1",
        "metadata.max.age.ms": "1000",
        "probing.rebalance.interval.ms": "60000",
    }
    if options.session:
        prefix = "" if system == "headrace" else "consumer."
        properties[f"{prefix}session.timeout.ms"] = str(options.session)
        properties[f"{prefix}heartbeat.interval.ms"] = str(options.session // 10)
    traffic = Traffic(kafka.bootstrap_servers, source, target, options.partitions, options.state)
    names = [f"instance-{number}" for number in range(options.rolling)] or ["one", "two"]
    has_ids = bool(options.rolling) and not options.no_ids
    members = Members(system, folder, source, target, properties, has_ids=has_ids)
    traffic.fill()
    traffic.begin()
    try:
        for name in names:
            members.start(name)
        _await_calm(traffic, len(names))
        time.sleep(STANDBY_SECONDS)
        for event in rolling(names) if options.rolling else ACCIDENTS:
            before, since = traffic.owners(), time.time()
            for act in event.acts:
                members.do(act, event.name)
            _await_calm(traffic, event.members)
            owners, worst = traffic.owners(), traffic.worst_ms(since)
            moved = {each for each in worst if owners[each] != before[each]}
            line = {
                "system": system,
                "protocol": options.protocol,
                "what": event.what,
                "moved": len(moved),
                "moved_worst_ms": _longest(worst, moved),
                "others_worst_ms": _longest(worst, worst.keys() - moved),
            }
            if options.rolling:
                own = {each for each, owner in before.items() if owner == event.name}
                line["own_worst_ms"] = _longest(worst, own)
                line["others_worst_ms"] = _longest(worst, worst.keys() - moved - own)
            yield line
    finally:
        members.close()
        traffic.end()


def _longest(worst: Mapping[int, float], partitions: Iterable[int]) -> int:
    return round(max((worst[each] for each in partitions), default=0))


def _await_calm(traffic: Traffic, members: int) -> None:
    deadline = time.monotonic() + 240
    time.sleep(CALM_SECONDS)
    while not (traffic.is_calm() and len(set(traffic.owners().values())) == members):
        if time.monotonic() > deadline:
            raise SystemExit(f"there are not {members} members that share the partitions: {traffic.owners()}")
        time.sleep(0.1)


def _keys(partitions: int, count: int) -> list[list[bytes]]:
    """So many keys for each partition, which Kafka's default partitioner puts there, in and out."""
    found: list[list[bytes]] = [[] for _ in range(partitions)]
    number = 0
    while any(len(keys) < count for keys in found):
        key = b"key%d" % number
        number += 1
        keys = found[partition_for(key, partitions)]
        if len(keys) < count:
            keys.append(key)
    return found


def _make_topics(kafka: LocalKafka, names: list[str], partitions: int) -> None:
    log: Log = open_log(Config(properties={"bootstrap.servers": kafka.bootstrap_servers}))
    log.create_topics([TopicSpec(name, partitions) for name in names])
    log.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield Path(folder)
        except BaseException:
            for log in sorted(Path(folder).glob("*/*.log")):
                print(f"== {log.name}", log.read_text()[-3_000:], sep="\n", file=sys.stderr)
            raise


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", choices=["classic", "streams"], default="classic")
    parser.add_argument("--system", choices=SYSTEMS)
    parser.add_argument(
        "--session", type=int, default=6_000, help="ms; 0 leaves brokers and clients their own"
    )
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--rolling", type=int, default=0, help="restart so many instances, one after another")
    parser.add_argument("--no-ids", action="store_true", help="let these have no group.instance.id")
    parser.add_argument("--state", type=int, default=20_000, help="keys a partition")
    options = parser.parse_args()
    config = {}
    if options.session:
        config = {
            "group.streams.session.timeout.ms": str(options.session),
            "group.streams.heartbeat.interval.ms": str(options.session // 10),
            "group.streams.min.session.timeout.ms": str(options.session),
            "group.streams.min.heartbeat.interval.ms": str(options.session // 10),
            "group.streams.num.standby.replicas": "1",
        }
    with LocalKafka(config=config, jvm_options=["-Xmx1g"]) as kafka, _folder() as folder:
        for system in [options.system] if options.system else SYSTEMS:
            place = folder / system
            place.mkdir()
            for line in measure(system, kafka, options, place):
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
