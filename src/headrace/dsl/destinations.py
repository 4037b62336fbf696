"""Where a stream goes: through an internal topic, into a topic, into a table. Source: `KStreamImpl`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore
from headrace.dsl.functions import plain
from headrace.dsl.graph import GraphSink
from headrace.dsl.made_tables import made_table
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.repartitioning import new_repartition
from headrace.dsl.serdes import agreed, either, refuse_clash
from headrace.dsl.stream_state import Flow, TableState
from headrace.topology.arguments import given
from headrace.topology.partitioners import placing
from headrace.topology.topics import Topic

__all__ = ["kept_as_table", "repartitioned", "write_to"]


def repartitioned(
    flow: Flow,
    partitions: int | None,
    partitioner: object,
    *,
    key: object,
    value: object,
    name: str | None,
    where: Location,
) -> Flow:
    """Lead through an internal topic that is asked for."""
    if partitions is not None and partitions < 1:
        raise TopologyError(f"{where}: partitions={partitions}: 1 or more is wanted")
    placed = placing(partitioner, where)
    graph = flow.building.graph
    base = graph.names.free_node(name, "KSTREAM-REPARTITION-", where)
    key_serde = either(key, flow.key, "key", where)
    value_serde = either(value, flow.value, "value", where)
    node = new_repartition(
        graph.names,
        base,
        key=key_serde,
        value=value_serde,
        where=where,
        is_named=name is not None,
        optimizable=False,
        partitioner=placed,
        partitions=partitions,
    )
    return flow.then(
        node,
        key=key_serde,
        value=value_serde,
        sources=frozenset({node.name}),
        needs_repartition=False,
    )


def write_to(
    flow: Flow,
    topic: object,
    partitioner: object,
    *,
    key: object,
    value: object,
    name: str | None,
    where: Location,
) -> None:
    """End in a sink."""
    handle = topic if isinstance(topic, Topic) else None
    target: str | Callable[..., Any]
    if handle is not None:
        target = handle.name
    elif isinstance(topic, str):
        target = topic
    elif callable(topic):
        target, _ = plain(topic, "function that chooses the topic", where, "key", "value", "metadata")
    else:
        raise TopologyError(f"{where}: expected a topic, its name, or a function, found {topic!r}")
    placed = placing(partitioner, where)
    key_serde = either(key, flow.key if handle is None else handle.key, "key", where)
    value_serde = either(value, flow.value if handle is None else handle.value, "value", where)
    if handle is not None:
        into = f"topic '{handle.name}'"
        refuse_clash(flow.key if key is None else key_serde, handle.key, "key", into, where)
        refuse_clash(flow.value if value is None else value_serde, handle.value, "value", into, where)
    node = GraphSink(
        flow.building.graph.names.node(name, "KSTREAM-SINK-", where),
        where,
        topic=target,
        key=key_serde,
        value=value_serde,
        partitioner=placed,
        partitions=None if handle is None else handle.partitions,
    )
    flow.then(node)


def kept_as_table(
    flow: Flow, store: AnyStore, *, key: object, value: object, name: str | None, where: Location
) -> TableState:
    """Take the stream as a table's updates."""
    graph = flow.building.graph
    declared = declared_store(store, "key_value", where, versions=True)
    if declared is not None:
        agreed(given(key, "key", where), declared.key, "key", declared.name, where)
        agreed(given(value, "value", where), declared.value, "value", declared.name, where)
    node_name = graph.names.node(name, "KSTREAM-TOTABLE-", where)
    made = Materialized.of(
        declared,
        names=graph.names,
        prefix="KSTREAM-TOTABLE-",
        key=either(key, flow.key, "key", where),
        value=either(value, flow.value, "value", where),
        where=where,
    )
    flow = replace(flow, key=made.key, value=made.value)
    if flow.needs_repartition:
        repartition = new_repartition(
            graph.names,
            node_name,
            key=made.key,
            value=made.value,
            where=where,
            is_named=name is not None,
        )
        flow = flow.then(repartition, sources=frozenset({repartition.name}), needs_repartition=False)
    return made_table(flow, node_name, made, where)
