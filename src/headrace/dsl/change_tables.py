"""Tables of databases: read from a topic of changes, with a store of their rows, which has a changelog of its own."""

from collections.abc import Iterable
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore
from headrace.dsl.graph import StreamSource
from headrace.dsl.made_tables import made_table
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.sources import table_nodes
from headrace.dsl.stream_state import Building, Flow, TableState
from headrace.operators.change_table import ChangeTableSource
from headrace.topology.sources import Reset
from headrace.topology.topics import ChangesTopic, Topic

__all__ = ["change_table", "refuse_changes"]


def change_table(
    building: Building,
    topic: ChangesTopic[Any, Any],
    *,
    store: AnyStore,
    timestamp: Any,
    offset_reset: Reset,
    name: str | None,
    where: Location,
) -> TableState:
    """Read changes, and keep the rows that they make; return the table.

    Raises:
        TopologyError: the store is of another kind or type.
    """
    names = building.graph.names
    declared = declared_store(store, "key_value", where)
    materialized = Materialized.of(
        declared, names=names, prefix=f"{topic.name}-", key=topic.key, value=topic.row, where=where
    )
    source, table = table_nodes(names, name, where)
    node = StreamSource(
        source,
        where,
        topics=(topic.name,),
        pattern=None,
        key=topic.key,
        value=topic.value,
        timestamp=timestamp,
        offset_reset=offset_reset,
    )
    building.graph.add(node)
    flow = Flow(building, source, node, topic.key, topic.row, frozenset({source}))
    operator = ChangeTableSource(materialized.name, topic.truncates)
    return made_table(flow, table, materialized, where, operator)


def refuse_changes(handles: Iterable[Topic[Any, Any]], where: Location) -> None:
    """Refuse to read changes as if they were rows.

    Raises:
        TopologyError: one of the topics is of changes.
    """
    for topic in handles:
        if isinstance(topic, ChangesTopic):
            raise TopologyError(
                f"{where}: '{topic.name}' has changes of rows, of which builder.table() makes a table; to read the "
                "changes themselves, write hr.Topic(name, key=…, value=hr.cdc.debezium(…))"
            )
