"""Makes the workers of an application, as its configuration says."""

import threading
from collections.abc import Callable
from pathlib import Path

from headrace.engine.clock import SystemClock
from headrace.engine.options import EngineOptions
from headrace.engine.status import WorkerStatus
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.log.port import Log
from headrace.streams.config import Config
from headrace.streams.guarantee import transaction_timeout_ms, transactional_id
from headrace.streams.joining import joiner
from headrace.streams.options import APPLICATION_ID
from headrace.streams.process_id import ProcessIds
from headrace.topology.topology import Topology

__all__ = ["make_worker"]


def make_worker(
    topology: Topology,
    config: Config,
    log: Log,
    on_status: Callable[[WorkerStatus], None],
    follows: Worker | None,
    stop: threading.Event,
    *,
    options: EngineOptions,
    state_directory: Path,
) -> Worker:
    """Make a worker, which ends when `stop` is set; one that follows another goes on from what that one knew.

    Raises what `build_worker` raises.
    """
    ids = ProcessIds(state_directory)
    process_id = ids.process_id()
    return build_worker(
        topology,
        log,
        options,
        application_id=config.get(APPLICATION_ID),
        state_dir=state_directory,
        clock=SystemClock(),
        on_status=on_status,
        transactional_id=transactional_id(config, process_id),
        transaction_timeout_ms=transaction_timeout_ms(config),
        metadata_max_age_ms=config["metadata.max.age.ms"],
        follows=follows,
        stop=stop,
        join=joiner(log, config, process_id, ids.member_id()),
        known_as=ids.keep_member_id,
    )
