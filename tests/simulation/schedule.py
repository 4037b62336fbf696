"""One schedule: instances of an application come, go, sleep, die and lose their state, in an order that a seed decides.

After it all are left in peace: then everything has been processed once, stores are what a plain evaluation says, and
the tasks are shared evenly. At every step of it, nobody can commit what somebody else can commit.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.engine.options import EngineOptions
from headrace.group.members import AssignmentOptions
from headrace.log.membership import JoinOptions
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec
from headrace.plan.group_application import group_application
from headrace.plan.plan import make_plan
from tests.simulation.brokers import Brokers, ClassicGroup, Group, StreamsGroup
from tests.simulation.instance import APPLICATION_ID, Home, Instance
from tests.simulation.log import SimulatedLog
from tests.simulation.world import World

__all__ = ["Protocol", "Schedule"]

Protocol = Literal["classic", "streams"]

INPUT, COPY, SUMMED, GATHERED = "in", "copy", "summed", "gathered"
SUMS, LISTS = "sums", "lists"

_KEYS = 6

#: Longest time (s) until all is quiet, once nothing happens any more: sessions, transactions and probes are shorter.
_PEACE_S = 120.0

#: How long it must stay so (s): longer than a member waits for the answer to a join, which may be lost.
_QUIET_S = 15


def topology(engine: stores.Engine) -> hr.Topology:
    """Copy numbers, sum them up by key, and list them by their last digit, behind a repartition."""
    sums = stores.key_value(SUMS, key=str, value=int, engine=engine)
    lists = stores.key_value(LISTS, key=str, value=str, engine=engine)
    builder = hr.StreamsBuilder()
    numbers = builder.stream(hr.Topic(INPUT, value=int))
    numbers.to(hr.Topic(COPY, value=int))
    summed = numbers.group_by_key().aggregate(int, lambda key, value, total: total + value, store=sums)
    summed.to_stream().to(hr.Topic(SUMMED, value=int))
    by_digit = numbers.group_by(lambda key, value: str(value % 10))
    listed = by_digit.aggregate(str, lambda key, value, seen: f"{seen}{value} ", store=lists)
    listed.to_stream().to(hr.Topic(GATHERED, value=str))
    return builder.build()


class Schedule:
    """What a seed makes happen. The same seed makes the same happen again."""

    def __init__(self, seed: int, protocol: Protocol, folder: Path) -> None:
        self._world = World(seed)
        self._protocol: Protocol = protocol
        self._dice = dice = self._world.dice
        self._partitions = dice.randint(1, 3)
        self._standbys = dice.choice([0, 0, 1])
        self._topology = topology(dice.choice(["memory", "rocksdb"]))
        self._options = EngineOptions.of(
            {
                "commit.interval.ms": dice.choice(["50", "500", "2000"]),
                "statestore.cache.max.bytes": dice.choice(["0", "1000000"]),
                "acceptable.recovery.lag": "5",
            }
        )
        self._joins = JoinOptions(
            process_id="",
            protocol=protocol,
            max_poll_interval_ms=8_000,
            probing_rebalance_interval_ms=5_000,
            assignment=AssignmentOptions(num_standby_replicas=self._standbys, acceptable_recovery_lag=5),
        )
        self._log = MemoryLog()
        self._log.create_topics(
            [TopicSpec(name, self._partitions) for name in (INPUT, COPY, SUMMED, GATHERED)]
        )
        plan = make_plan(self._topology, {INPUT: self._partitions}, APPLICATION_ID)
        self._application = group_application(self._topology, plan, APPLICATION_ID)
        group: Group = ClassicGroup()
        if protocol == "streams":
            group = StreamsGroup(self._application.tasks, standbys=self._standbys)
        self._brokers = Brokers(self._world, group, self._application)
        self._homes = [Home(folder, number) for number in range(4)]
        self._instances: dict[Home, Instance] = {}
        self._lives = 0
        self._written: list[tuple[str, int]] = []
        self._world.after_each = self._check_alone
        self.acts: list[str] = []

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Let it happen, then leave all in peace, and look what has become of it."""
        try:
            self._start(self._homes[0])
            for _ in range(self._dice.randint(3, 12)):
                self._world.trouble = self._dice.choice([0.0, 0.02, 0.2])
                self._write(self._dice.randint(0, 8))
                self._act()
                self._world.run(self._dice.choice([0.05, 0.5, 1.0, 3.0, 12.0]))
            self._calm_down()
            self._check()
        finally:
            for instance in self._instances.values():
                instance.kill()

    def _act(self) -> None:
        running = [home for home in self._homes if home in self._running]
        idle = [home for home in self._homes if home not in self._running]
        if not running or (idle and self._dice.random() < 0.3):
            self._do(self._start, self._dice.choice(idle))
        else:
            happens: list[Callable[[Home], None]] = [
                self._kill,
                self._restart,
                self._lose_state,
                self._stop,
                self._sleep,
                self._be_slow,
                self._leave_alone,
            ]
            self._do(self._dice.choice(happens), self._dice.choice(running))

    def _do(self, act: Callable[[Home], None], home: Home) -> None:
        self.acts.append(f"{self._world.now:.2f} {act.__name__.strip('_')} {home.name}")
        act(home)

    @property
    def _running(self) -> Mapping[Home, Instance]:
        return {home: each for home, each in self._instances.items() if each.is_alive}

    def _start(self, home: Home) -> None:
        self._lives += 1
        self._instances[home] = Instance(
            home,
            self._world,
            self._brokers,
            lambda: SimulatedLog(self._log, self._world, self._brokers),
            self._topology,
            self._options,
            self._joins,
            self._lives,
        )

    def _kill(self, home: Home) -> None:
        self._instances[home].kill()

    def _restart(self, home: Home) -> None:
        self._kill(home)
        self._start(home)

    def _lose_state(self, home: Home) -> None:
        self._kill(home)
        home.lose_state()

    def _stop(self, home: Home) -> None:
        self._instances[home].stop()

    def _sleep(self, home: Home) -> None:
        self._instances[home].process.stopped_until = self._world.now + self._dice.choice(
            [0.5, 3.0, 9.0, 20.0]
        )

    def _be_slow(self, home: Home) -> None:
        """Let the worker alone sleep: its member goes on."""
        self._instances[home].strand.stopped_until = self._world.now + self._dice.choice(
            [0.5, 3.0, 9.0, 20.0]
        )

    def _leave_alone(self, home: Home) -> None:
        pass

    def _write(self, count: int) -> None:
        writer = self._log.writer("feed")
        for _ in range(count):
            key, number = f"k{self._dice.randrange(_KEYS)}", len(self._written)
            self._written.append((key, number))
            columns = Columns()
            columns.append(key.encode(), number.to_bytes(8, "big"), number, ())
            writer.append(INPUT, int(key[1:]) % self._partitions, columns)
        writer.commit({})
        writer.close()

    def _calm_down(self) -> None:
        self._world.trouble = 0.0
        if all(each.is_to_stop for each in self._running.values()):
            self._start(next(home for home in self._homes if home not in self._running))
        until = self._world.now + _PEACE_S
        quiet_s = 0
        while quiet_s < _QUIET_S:
            reason = self._unsettled()
            assert not reason or self._world.now < until, f"not settled after {_PEACE_S:g} s: {reason}"
            quiet_s = 0 if reason else quiet_s + 1
            self._world.run(1.0)

    # ── what must be so ──────────────────────────────────────────────────────────────────────────────────────────

    def _check_alone(self) -> None:
        able: Counter[Any] = Counter()
        for instance in self._instances.values():
            member = instance.member
            if instance.process.is_alive and member is not None:
                able.update(task for task in instance.tasks if self._brokers.group.takes_commit(member, task))
        twice = [str(task) for task, count in able.items() if count > 1]
        assert not twice, f"more than one instance can commit {twice}"

    def _unsettled(self) -> str:
        """What keeps it from being quiet; empty where nothing does."""
        running = self._running
        tasks = sorted(task for each in running.values() for task in each.tasks)
        if tasks != sorted(self._application.tasks):
            return f"tasks that are there: {[str(task) for task in tasks]}"
        counts = [len(each.tasks) for each in running.values()]
        if max(counts) - min(counts) > 1:
            return f"not shared evenly: {counts}"
        for each in running.values():
            if (
                each.is_stopped
                or each.worker is None
                or not all(task.is_running for task in each.worker.tasks)
            ):
                return f"{each.home.name} does not run yet"
        places = [place for task in self._application.tasks for place in self._application.inputs(task)]
        committed = self._log.committed(APPLICATION_ID, places)
        behind = {
            str(place): end
            for place, end in self._log.end_offsets(places).items()
            if end and (place not in committed or committed[place].offset != end)
        }
        return f"not committed to the end: {behind}" if behind else ""

    def _check(self) -> None:
        copied = Counter((key, value) for _, _, key, value, _, _ in self._log.records(COPY))
        assert copied == Counter((key.encode(), number.to_bytes(8, "big")) for key, number in self._written)
        sums: Counter[str] = Counter()
        lists: dict[str, list[int]] = defaultdict(list)
        for key, number in self._written:
            sums[key] += number
            lists[str(number % 10)].append(number)
        assert self._stored(SUMS) == dict(sums)
        gathered = {key: str(value) for key, value in self._stored(LISTS).items()}
        assert {key: sorted(map(int, value.split())) for key, value in gathered.items()} == lists
        self._check_history(GATHERED, {key: value.encode() for key, value in gathered.items()})
        summed = {key: value for _, _, key, value, _, _ in self._log.records(SUMMED)}
        assert summed == {key.encode(): total.to_bytes(8, "big") for key, total in sums.items()}

    def _check_history(self, topic: str, last: Mapping[str, bytes]) -> None:
        """Each result goes on from the one before it, up to what the store has."""
        before: dict[str, bytes] = defaultdict(bytes)
        for _, _, key, value, _, _ in self._log.records(topic):
            assert key is not None and value is not None
            name = key.decode()
            assert value.startswith(before[name]) and value != before[name], (name, before[name], value)
            before[name] = value
        assert before == last

    def _stored(self, store: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for instance in self._running.values():
            if any(self._has(task.subtopology, store) for task in instance.tasks):
                for view in instance.query(store).values():
                    for key, value in view.all():
                        assert key not in found, f"{key} is in two places"
                        found[key] = value
        return found

    def _has(self, subtopology: int, store: str) -> bool:
        (part,) = [each for each in self._topology.subtopologies if each.id == subtopology]
        return any(spec.name == store for spec in part.stores)
