"""The metrics of a task's stores: what the task notes of them, and what their databases say."""

from collections.abc import Mapping

from headrace.engine.task import Task
from headrace.engine.timed_stores import StoreFigures
from headrace.metrics.metric import MetricsOf
from headrace.state.spec import StoreSpec
from headrace.state.task_state import TaskState
from headrace.topology.nodes import ProcessorNode

__all__ = ["measure_stores"]

_STORES, _CACHES = "stream-state-metrics", "stream-record-cache-metrics"
_NODES = "stream-processor-node-metrics"


def measure_stores(into: MetricsOf, tags: Mapping[str, str], task: Task) -> None:
    """Gather what concerns the stores of a task that runs."""
    if not task.is_running:
        return
    state = task.state
    for buffer in state.held:
        node = next(
            each.name
            for each in task.topology.nodes.values()
            if isinstance(each, ProcessorNode) and buffer.spec.name in each.stores
        )
        node_tags = {**tags, "processor-node-id": node}
        into.put_counted(_NODES, node_tags, {"suppression-emit": buffer.emitted})
    for spec in state.specs:
        store_tags = {**tags, f"{scope_of(spec)}-state-id": spec.name}
        _measure_rows(into, store_tags, state, spec.name)
        figures = task.figures.stores.get(spec.name)
        if figures is not None:
            cache_tags = {**tags, "record-cache-id": spec.name}
            _measure_calls(into, store_tags, cache_tags, figures)


def _measure_rows(into: MetricsOf, tags: Mapping[str, str], state: TaskState, store: str) -> None:
    into.put(_STORES, tags, {"uncommitted-bytes": state.uncommitted_bytes(store)})
    into.put(_STORES, tags, state.properties(store))


def _measure_calls(
    into: MetricsOf, tags: Mapping[str, str], cache_tags: Mapping[str, str], figures: StoreFigures
) -> None:
    now = figures.seconds()
    for operation, meter in list(figures.operations.items()):
        into.put(_STORES, tags, {f"{operation}-rate": meter.rate(now)})
        into.put_extremes(_STORES, tags, f"{operation}-latency", meter, now)
    if figures.operations:
        into.put_extremes(_STORES, tags, "iterator-duration", figures.iterators, now)
        wall = figures.now_ms() / 1000
        into.put_extremes(_STORES, tags, "record-e2e-latency", figures.ages, wall, least=True)
    if figures.hits.count:
        into.put_extremes(_CACHES, cache_tags, "hit-ratio", figures.hits, now, least=True)
    if figures.held_count.count:
        into.put_extremes(_STORES, tags, "suppression-buffer-count", figures.held_count, now)
        into.put_extremes(_STORES, tags, "suppression-buffer-size", figures.held_bytes, now)


def scope_of(spec: StoreSpec) -> str:
    """Return how Kafka Streams calls the kind of a store in the tag that names it."""
    engine = "in-memory" if spec.engine == "memory" else "rocksdb"
    match spec.kind:
        case "key_value":
            return f"{engine}-lru" if spec.rows_max is not None else engine
        case "versioned":
            return engine
        case "window" | "session":
            return f"{engine}-{spec.kind}"
        case "suppress":
            return "in-memory-suppression"
        case "custom":
            return "custom"
