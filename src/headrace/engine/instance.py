"""What the workers of one instance have together: state directory, record cache, global stores, and what they hear."""

from pathlib import Path

from headrace.engine.clock import Clock
from headrace.engine.global_seats import GlobalSeat, GlobalSeats
from headrace.engine.global_stores import GlobalStores
from headrace.engine.known_topics import KnownTopics
from headrace.engine.letter_topics import LetterTopics
from headrace.engine.options import EngineOptions
from headrace.engine.progress_memory import ProgressMemory
from headrace.engine.store_listeners import StoreListeners
from headrace.engine.task_factory import TaskFactory
from headrace.engine.task_places import TaskPlaces
from headrace.log.port import Log
from headrace.state.cache import CacheBudget
from headrace.state.cache_shares import CacheShares
from headrace.state.rocksdb_options import RocksMemory
from headrace.state.state_directory import StateDirectory
from headrace.topology.topology import Topology

__all__ = ["Instance"]


class Instance:
    """Outlives its workers. From any thread.

    Attributes:
        directory: lends the rows of tasks to the worker that has them.
        caches: divides the record cache.
        progress: remembers how far the state in the directory is.
        letter_topics: remembers to which topics dead letters are written.
        known_topics: the application's own topics, which none of the workers may find to be others.
        places: where the tasks of the application run.
        listeners: hear of restores and standbys.
        restoring: who restores now, by what it is known as to itself: the log is not compacted meanwhile.
    """

    def __init__(
        self,
        log: Log,
        options: EngineOptions,
        *,
        application_id: str,
        state_dir: Path,
        clock: Clock,
        worker: int | None = None,
        listeners: StoreListeners | None = None,
    ) -> None:
        """`worker` is the number of this process among those that share the directory; None where there is one."""
        self._log = log
        self._options = options
        self._application_id = application_id
        self._clock = clock
        self.listeners = listeners or StoreListeners()
        self.directory = StateDirectory(
            state_dir,
            RocksMemory(options.rocksdb_memory_max_bytes, configure=options.rocksdb_config_setter),
            application_id=application_id,
            cleanup_delay_ms=options.state_cleanup_delay_ms,
            now_ms=clock.wall_ms,
            seconds=clock.seconds,
            worker=worker,
        )
        self.directory.remove_destroyed()
        self.caches = CacheShares(options.statestore_cache_max_bytes)
        self.progress = ProgressMemory(state_dir, clock.seconds, worker)
        self.letter_topics = LetterTopics(state_dir, worker)
        self.known_topics = KnownTopics(clock.seconds)
        self.places = TaskPlaces()
        self.restoring: set[object] = set()
        self._seats = GlobalSeats()

    def global_seat(self, topology: Topology) -> GlobalSeat:
        """Return what a new worker has of the global stores, by its topology, whose patterns are resolved."""
        return GlobalSeat(self._seats, lambda: self._global_stores(topology))

    def _global_stores(self, topology: Topology) -> GlobalStores:
        def factory() -> TaskFactory:
            return TaskFactory(
                topology=topology,
                log=self._log,
                options=self._options,
                application_id=self._application_id,
                directory=self.directory,
                clock=self._clock,
                cache=CacheBudget(0),  # none of these stores has one
            )

        return GlobalStores(
            topology.global_part,
            self._log,
            factory,
            self.directory,
            self._clock,
            self._options.stretch_records_max,
            self.listeners,
        )

    def close(self) -> None:
        """Close what is open of the state, when all workers have ended. Twice is fine."""
        self.progress.close()
        self.directory.close()
