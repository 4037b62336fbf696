"""Stores that hold a topic as it is, a partition in each task: the topic is the changelog (KIP-813)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from headrace.base.callables import short_name
from headrace.base.errors import TopologyError
from headrace.base.records import Record
from headrace.processor.api import Processor
from headrace.state.declaration import Store
from headrace.state.spec import StoreSpec
from headrace.state.stamped import Stamped
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import ProcessorNode, SourceNode
from headrace.topology.processors import ProcessorOperator
from headrace.topology.sources import handles_of
from headrace.topology.topics import Topic

__all__ = ["add_read_only_store"]


def add_read_only_store(
    assembly: Assembly,
    name: str,
    spec: StoreSpec,
    store: Store[Any],
    topic: str | Topic[Any, Any],
    processor: Callable[[], Any] | None,
) -> None:
    """Add a store, its topic's source, and the processor `name` that fills it: the user's, or one that is made here.

    Raises:
        TopologyError: a name is taken or illegal, the topic is read already, the store cannot hold it, or the supplier
            is wrong.
    """
    where = spec.where
    if isinstance(topic, str):
        topic = Topic(topic, key=spec.key, value=spec.value)
    (topic,) = handles_of(topic, None, None, where)
    spec = _holding(spec, topic, name)
    operator = ProcessorOperator(processor or _keeping(spec, store), name=name, where=where)
    operator.check_fills(spec)
    source = f"{name}-source"
    assembly.add_source(SourceNode(source, (topic.name,), topic.key, topic.value, where))
    assembly.add_store(spec)
    calls = "" if processor is None else short_name(processor)
    assembly.add_processor(ProcessorNode(name, operator, where, (spec.name,), calls), (source,))
    if topic.partitions is not None:
        assembly.declare_partitions(topic.name, topic.partitions, where)


def _holding(spec: StoreSpec, topic: Topic[Any, Any], filled_by: str) -> StoreSpec:
    """Return the specification of a store that one processor fills from a topic, and all others may read.

    Raises:
        TopologyError: its rows cannot be those of a topic, or have other serdes.
    """
    is_whole = spec.rows_max is None and spec.ttl_ms is None
    if spec.kind not in {"key_value", "versioned"} or not is_whole:
        kind = spec.kind.replace("_", "-") if is_whole else "bounded"
        raise TopologyError(
            f"{spec.where}: a {kind} store cannot hold a topic as it is: declare store '{spec.name}' with "
            "stores.key_value(...), without ttl=, or stores.versioned(...)"
        )
    for part, stored, written in (("keys", spec.key, topic.key), ("values", spec.value, topic.value)):
        if stored != written:
            raise TopologyError(
                f"{spec.where}: store '{spec.name}' has {part} of {stored!r}, and topic '{topic.name}' of {written!r}: "
                "a restart restores the topic's bytes, so declare both alike, or keep other rows by add_processor() "
                "and add_state_store()"
            )
    return replace(
        spec, source_topic=topic.name, filled_by=filled_by, logging=False, changelog_config={}, caching=False
    )


def _keeping(spec: StoreSpec, store: Store[Any]) -> Callable[[], Processor[Any, Any, Any, Any]]:
    """Return the supplier of what puts each record of the topic into the store. Records without a key are left out."""
    return lambda: _Keeping(spec, store)


class _Keeping(Processor[Any, Any, Any, Any]):
    def __init__(self, spec: StoreSpec, store: Store[Any]) -> None:
        self._spec = spec
        self._store = store

    def init(self) -> None:
        self._put = self.context.store(self._store).put

    def process(self, record: Record[Any, Any]) -> None:
        if record.key is None:
            return
        if self._spec.kind == "versioned":
            self._put(record.key, record.value, record.timestamp)
        elif self._spec.stamped and record.value is not None:
            self._put(record.key, Stamped.of(record))
        else:
            self._put(record.key, record.value)
