"""A worker on a memory log, turned by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.clock import ManualClock
from headrace.engine.instance import Instance
from headrace.engine.options import EngineOptions
from headrace.engine.store_listeners import StoreListeners
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.group.application import GroupApplication
from headrace.log.local_group import LocalGroup, LocalMembership
from headrace.log.membership import Membership
from headrace.log.memory import MemoryLog

__all__ = ["Bench", "eight"]


class Bench:
    """It can be left without a commit, and made again. It is one of an `instance`, if there is one."""

    def __init__(self, topology: hr.Topology, folder: Path, **config: Any) -> None:
        self.topology = topology
        self.folder = folder
        self.options = EngineOptions.of({name.replace("_", "."): value for name, value in config.items()})
        self.clock = ManualClock(1_000_000)
        self.log = MemoryLog()
        self.reached: Callable[[str], None] = lambda step: None
        self.listeners = StoreListeners()
        self.instance: Instance | None = None
        self._worker: Worker | None = None

    @property
    def worker(self) -> Worker:
        """The present one; it is made, with the topics, when it is asked for."""
        if self._worker is None:
            self._worker = self.made()
        return self._worker

    def made(self) -> Worker:
        return build_worker(
            self.topology,
            self.log,
            self.options,
            application_id="app",
            state_dir=self.folder,
            clock=self.clock,
            instance=self.instance,
            reached=self.reached,
            listeners=self.listeners,
            join=self._join,
        )

    def _join(self, application: GroupApplication) -> Membership:
        self.application = application
        return self.joined(application)

    def joined(self, application: GroupApplication) -> Membership:
        """Its membership: alone, and it gets tasks by hand."""
        return LocalMembership(LocalGroup("app"), replace(application, tasks=()))

    def open(self, *tasks: TaskId) -> None:
        """Take up these tasks, or all that there are."""
        self.open_idle()
        self.worker.assign(tasks or self.application.tasks)
        self.turn()

    def open_idle(self) -> None:
        """Take up no task yet."""
        self.worker.open()

    def turn(self) -> None:
        while self.worker.step(0):
            pass

    def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def crash(self) -> None:
        self.close()

    def write(self, topic: str, *records: tuple[bytes | None, bytes | None, int]) -> None:
        self.write_to(TopicPartition(topic, 0), *records)

    def write_to(self, partition: TopicPartition, *records: tuple[bytes | None, bytes | None, int]) -> None:
        columns = Columns()
        for key, value, timestamp in records:
            columns.append(key, value, timestamp, ())
        writer = self.log.writer("feed")
        writer.append(*partition, columns)
        writer.commit({})
        writer.close()

    def read(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        place = TopicPartition(topic, 0)
        reader = self.log.reader()
        reader.assign({place: 0})
        found = [row for chunk in reader.poll(0) for row in zip(chunk.keys, chunk.values)]
        reader.close()
        return found


def eight(number: int) -> bytes:
    return number.to_bytes(8, "big")
