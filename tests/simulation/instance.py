"""One process of the application: a real worker, with a real member of the group, in virtual time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import headrace as hr
from headrace.base.ids import TaskId
from headrace.engine.options import EngineOptions
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.group.application import GroupApplication
from headrace.group.membership import Effect
from headrace.kafka.group.membership import KafkaMembership
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.log.membership import JoinOptions, MemberIdentity, Membership
from headrace.log.port import Log
from tests.simulation.brokers import Brokers
from tests.simulation.network import SimulatedNetwork
from tests.simulation.world import Flag, Process, Strand, StrandThread, World

__all__ = ["APPLICATION_ID", "Home", "Instance"]

APPLICATION_ID = "app"

#: The wall's clock when a simulation begins (epoch ms).
_BEGAN_MS = 1_000_000


class _Clock:
    """See `Clock`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def wall_ms(self) -> int:
        return _BEGAN_MS + int(self._world.now * 1000)

    def seconds(self) -> float:
        return self._world.now


class _PatientMembership(KafkaMembership):
    """Waits in virtual time."""

    def __init__(self, world: World, *arguments: Any, **options: Any) -> None:
        self._world = world
        super().__init__(*arguments, **options)

    def effects(self, timeout_s: float = 0.0) -> Sequence[Effect]:
        """See `Membership.effects`."""
        found = super().effects()
        if not found and timeout_s:
            self._world.wait(timeout_s)
            found = super().effects()
        return found


class Home:
    """A machine, with what its disk has of the application."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self.name = f"home{number}"
        self._disks = 0
        self.lose_state()

    def lose_state(self) -> None:
        """Get an empty disk, and be another process to the group."""
        self._disks += 1
        self.process_id = f"{self.name}-{self._disks}"
        self.state = self._folder / self.process_id
        self.member_id = ""

    def keep_member_id(self, member_id: str) -> None:
        """Note as whom the group knows it."""
        self.member_id = member_id


class Instance:
    """Runs until it is killed or has stopped, as the application's thread does: one worker after another."""

    def __init__(
        self,
        home: Home,
        world: World,
        brokers: Brokers,
        log: Callable[[], Log],
        topology: hr.Topology,
        options: EngineOptions,
        joins: JoinOptions,
        life: int,
    ) -> None:
        self.home = home
        self._world = world
        self._brokers = brokers
        self._log = log
        self._topology = topology
        self._options = options
        self._joins = joins
        self._life = life
        self._stop = Flag(world)
        self.worker: Worker | None = None
        self.membership: Membership | None = None
        self.process = Process(home.name)
        self.strand: Strand = world.start(self.process, self._work)

    def _work(self) -> None:
        log = self._log()
        while not self._stop.is_set():
            before, self.worker, self.membership = self.worker, None, None
            worker = build_worker(
                self._topology,
                log,
                self._options,
                application_id=APPLICATION_ID,
                state_dir=self.home.state,
                clock=_Clock(self._world),
                reached=lambda step: self._world.wait(self._world.dice.choice([0.0, 0.0, 0.02])),
                transactional_id=self.home.process_id,
                follows=before,
                stop=self._stop,
                join=self._join,
                known_as=self.home.keep_member_id,
            )
            self.worker = worker
            worker.run()

    def _join(self, application: GroupApplication) -> Membership:
        member_id = self.home.member_id
        if self._joins.protocol == "streams" and not member_id:
            member_id = f"{self.home.process_id}-{self._life}"  # what is made up otherwise is random
        self.membership = _PatientMembership(
            self._world,
            APPLICATION_ID,
            application,
            replace(self._joins, process_id=self.home.process_id, member_id=member_id),
            ConnectionSettings.of({}),
            KafkaOptions.of({"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}),
            Waiting(lambda: self._world.now),
            networks=lambda: cast(
                Any, SimulatedNetwork(self._world, self._brokers)
            ),  # as much as is used of one
            seconds=lambda: self._world.now,
            thread=cast(Any, partial(StrandThread, self._world)),  # the same
        )
        return self.membership

    # ── what happens to it ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process.is_alive and not self.strand.has_ended

    def kill(self) -> None:
        """End it where it stands."""
        if self.worker is not None:
            self.worker.leaves_group = False
        self._world.kill(self.process)

    def stop(self) -> None:
        """Let it commit, leave the group, and end."""
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Whether it sleeps, or its worker does."""
        return max(self.process.stopped_until, self.strand.stopped_until) > self._world.now

    @property
    def is_to_stop(self) -> bool:
        """Whether it was told to."""
        return self._stop.is_set()

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def tasks(self) -> frozenset[TaskId]:
        """What it has, running or not yet."""
        return frozenset(task.id for task in self.worker.tasks) if self.worker is not None else frozenset()

    @property
    def member(self) -> MemberIdentity | None:
        """As whom it would commit."""
        return None if self.membership is None else self.membership.member

    def query(self, store: str) -> Mapping[int, Any]:
        """See `Worker.query`."""
        assert self.worker is not None
        return self.worker.query(store)
