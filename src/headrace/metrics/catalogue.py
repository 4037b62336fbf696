"""The catalogue: every metric that there is, found by its group and name."""

from collections.abc import Mapping

from headrace.metrics.declaration import Declaration
from headrace.metrics.of_sinks import SINKS
from headrace.metrics.of_stores import CACHES, ROCKSDB_PROPERTIES, STORES
from headrace.metrics.of_tasks import NODES, TASKS, TOPICS
from headrace.metrics.of_threads import CLIENTS, RESTORES, THREADS

__all__ = ["CATALOGUE", "declared"]

#: In the order of the documentation.
CATALOGUE: tuple[Declaration, ...] = (
    *CLIENTS,
    *THREADS,
    *RESTORES,
    *TASKS,
    *NODES,
    *TOPICS,
    *STORES,
    *ROCKSDB_PROPERTIES,
    *CACHES,
    *SINKS,
)

_FOUND: Mapping[tuple[str, str], Declaration] = {(each.group, each.name): each for each in CATALOGUE}
assert len(_FOUND) == len(CATALOGUE), "two metrics of one group have one name"


def declared(group: str, name: str) -> Declaration:
    """Return a metric's declaration.

    Raises:
        KeyError: there is none.
    """
    return _FOUND[group, name]
