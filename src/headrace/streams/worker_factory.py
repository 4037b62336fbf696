"""Makes the workers of an application, as its configuration says, and what they share."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from headrace.engine.clock import SystemClock
from headrace.engine.instance import Instance
from headrace.engine.options import EngineOptions
from headrace.engine.status import WorkerStatus
from headrace.engine.store_listeners import StoreListeners
from headrace.engine.task_places import TaskPlaces
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.log.port import Log
from headrace.streams.config import Config
from headrace.streams.guarantee import transaction_timeout_ms, transactional_id
from headrace.streams.joining import joiner
from headrace.streams.options import APPLICATION_ID, WORKER_NUMBER
from headrace.streams.process_id import ProcessIds
from headrace.topology.topology import Topology

__all__ = ["WorkerFactory"]


class WorkerFactory:
    """For one `Streams`, whose lock is held. From any thread.

    Attributes:
        process_id: what the group knows the process by; empty before the first worker.
    """

    def __init__(
        self,
        topology: Topology,
        config: Config,
        log: Log,
        *,
        options: EngineOptions,
        state_directory: Path,
        listeners: StoreListeners,
    ) -> None:
        self._topology = topology
        self._config = config
        self._log = log
        self._options = options
        self._state_directory = state_directory
        self._listeners = listeners
        self._clock = SystemClock()
        self._ids = ProcessIds(state_directory)
        self._making = threading.Lock()
        self.process_id = ""
        self._instance: Instance | None = None
        self._worker: int | None = config.get(WORKER_NUMBER)

    def name_of(self, number: int) -> str:
        """Return what a thread is called, so that no other thread of the state directory is called so."""
        return str(number) if self._worker is None else f"{self._worker}-{number}"

    def make(
        self,
        number: int,
        on_status: Callable[[WorkerStatus], None],
        follows: Worker | None,
        stop: threading.Event,
    ) -> Worker:
        """Make a worker of the thread of this number; see `build_worker`. One at a time: the first makes the topics.

        Raises what `build_worker` raises.
        """
        config, thread = self._config, self.name_of(number)
        with self._making:
            self.process_id = process_id = self._ids.process_id()
            if self._instance is None:
                self._instance = Instance(
                    self._log,
                    self._options,
                    application_id=config.get(APPLICATION_ID),
                    state_dir=self._state_directory,
                    clock=self._clock,
                    worker=self._worker,
                    listeners=self._listeners,
                )
            return build_worker(
                self._topology,
                self._log,
                self._options,
                application_id=config.get(APPLICATION_ID),
                instance=self._instance,
                clock=self._clock,
                on_status=on_status,
                transactional_id=transactional_id(config, process_id, thread),
                transaction_timeout_ms=transaction_timeout_ms(config),
                metadata_max_age_ms=config["metadata.max.age.ms"],
                follows=follows,
                stop=stop,
                join=joiner(
                    self._log,
                    config,
                    process_id,
                    self._ids.member_id(thread),
                    thread,
                    self._instance.progress.known(),
                ),
                known_as=partial(self._ids.keep_member_id, thread),
            )

    @property
    def places(self) -> TaskPlaces | None:
        """Where the tasks of the application run; None before the first worker."""
        return None if self._instance is None else self._instance.places

    def close(self) -> None:
        """Close what the workers have shared, when all of them have ended."""
        if self._instance is not None:
            self._instance.close()
