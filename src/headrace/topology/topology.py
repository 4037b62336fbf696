"""A topology: nodes, links and stores. Built by `StreamsBuilder.build()`, or by hand; described, drawn, run."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from headrace.base.advice import no_attribute
from headrace.base.callables import short_name
from headrace.base.errors import TopologyError
from headrace.base.records import Record, RecordMetadata
from headrace.serde.primitives import raw, string
from headrace.serde.serde import SerdeOf
from headrace.state.declaration import Store
from headrace.state.spec import Engine, StoreSpec
from headrace.topology.arguments import accepted, extracting, given
from headrace.topology.assembly import Assembly
from headrace.topology.description import as_mermaid, as_text, to_plain
from headrace.topology.grouping import (
    SubTopology,
    copartition_groups,
    global_part,
    keyed_topics,
    subtopologies,
)
from headrace.topology.locations import caller
from headrace.topology.nodes import Node, ProcessorNode, RepartitionTopic, SinkNode, SourceNode
from headrace.topology.partitioners import Partitioner, placing
from headrace.topology.patterns import matched
from headrace.topology.plain_stores import checked_engine, global_store, names_global, plain_store
from headrace.topology.processors import ProcessorOperator
from headrace.topology.read_only_stores import add_read_only_store
from headrace.topology.sources import Reset, check_reset, handles_of
from headrace.topology.topics import Pattern, Topic
from headrace.topology.wrapping import ProcessorWrapper, add_stores_of_wrapper, checked_wrapper

__all__ = ["SubTopology", "Topology"]

#: What to write instead of methods that it lacks: Java's, and the builder's.
_INSTEAD = {
    "stream": "write add_source(name, topic), or begin with hr.StreamsBuilder()",
    "table": "write add_source(name, topic), or begin with hr.StreamsBuilder()",
    "build": "it is a topology already: give it to hr.Streams",
}


class Topology:
    """What an application does, without IO: nodes that read topics, process, and write topics.

    Made by `StreamsBuilder.build()`, then it cannot be changed; or made empty and filled with `add_…`, parents first.
    `engine` and `wrap_processors` are as a builder's.
    """

    def __init__(
        self, *, engine: Engine = "rocksdb", wrap_processors: ProcessorWrapper | None = None
    ) -> None:
        self.wrapper = checked_wrapper(wrap_processors, caller())
        self._assembly = Assembly()
        self._is_built = False
        self._subtopologies: tuple[SubTopology, ...] | None = None
        self._engine = checked_engine(engine)

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute("Topology", name, dir(Topology), _INSTEAD)

    @classmethod
    def built(cls, assembly: Assembly, wrapper: ProcessorWrapper | None = None) -> "Topology":
        """Make the finished topology of a builder."""
        topology = cls()
        topology.wrapper = wrapper
        topology._assembly = assembly
        topology._is_built = True
        return topology

    # ── by hand ──────────────────────────────────────────────────────────────────────────────────────────────────

    def add_source(
        self,
        name: str,
        *topics: str | Topic[Any, Any] | Pattern,
        key: SerdeOf[Any] = None,
        value: SerdeOf[Any] = None,
        timestamp: Callable[[Record[Any, Any], int], int] | None = None,
        offset_reset: Reset = None,
    ) -> Self:
        """Add a node that reads topics, all with the same serdes, or those that match a pattern.

        Topics given by name, and a pattern, have text keys without `key=` and raw values without `value=`. `timestamp`
        replaces the records' own timestamps; `offset_reset` says where to begin without a committed offset.

        Raises:
            TopologyError: the name is taken or illegal, no topic is named, one is read already, or serdes differ.
        """
        where = caller()
        if not topics:
            raise TopologyError(f"source {name} ({where}) reads no topic; name at least one")
        pattern = topics[0].regex if isinstance(topics[0], Pattern) and len(topics) == 1 else None
        handles = [] if pattern is not None else handles_of(topics, key, value, where)
        check_reset(offset_reset, where)
        source = SourceNode(
            name,
            tuple(dict.fromkeys(handle.name for handle in handles)),
            handles[0].key if handles else given(key, "key", where) or string,
            handles[0].value if handles else given(value, "value", where) or raw,
            where,
            extracting(timestamp, where),
            offset_reset,
            pattern,
        )
        assembly = self._changing()
        assembly.add_source(source)
        for handle in handles:
            if handle.partitions is not None:
                assembly.declare_partitions(handle.name, handle.partitions, where)
        return self

    def add_processor(self, name: str, processor: Callable[[], Any], *parents: str) -> Self:
        """Add a processor below its parents; `processor` is its class, or a function that makes a new one each time.

        Its `stores` are added and connected.

        Raises:
            TopologyError: the name is taken or illegal, a parent is unknown, or the supplier gives one object twice.
        """
        where = caller()
        assembly = self._changing()
        operator = ProcessorOperator(processor, name=name, where=where)
        stores = []
        for store in operator.declared_stores:
            if names_global(store, self._global_stores):
                continue
            spec = plain_store(store, where, self._engine)
            assembly.add_store(spec)
            stores.append(spec.name)
        node = ProcessorNode(name, operator, where, tuple(stores), short_name(processor))
        assembly.add_processor(node, parents)
        add_stores_of_wrapper(self.wrapper, assembly, (name,), self._engine)
        return self

    def add_sink(
        self,
        name: str,
        topic: str | Topic[Any, Any] | Callable[[Any, Any, RecordMetadata | None], str],
        *parents: str,
        key: SerdeOf[Any] = None,
        value: SerdeOf[Any] = None,
        partitioner: Partitioner | None = None,
    ) -> Self:
        """Add a node that writes what its parents forward: to a topic, or to one that a function chooses each time.

        A topic given by name, or by a function, has text keys without `key=` and raw values without `value=`.

        Raises:
            TopologyError: the name is taken or illegal, or a parent is unknown.
        """
        where = caller()
        chosen = None
        if callable(topic):
            chosen = accepted(topic, "function that chooses the topic", where, "key", "value", "metadata")
            key_serde, value_serde, partitions = given(key, "key", where), given(value, "value", where), None
        else:
            (handle,) = handles_of(topic, key, value, where)
            topic, key_serde, value_serde = handle.name, handle.key, handle.value
            partitions = handle.partitions
        sink = SinkNode(
            name,
            chosen or topic,
            key_serde or string,
            value_serde or raw,
            where,
            placing(partitioner, where),
            partitions,
        )
        self._changing().add_sink(sink, parents)
        return self

    def add_state_store(self, store: Store[Any], *processors: str) -> Self:
        """Add a store and connect it to processors that were added before.

        Raises:
            TopologyError: its name is taken or missing, a serde is missing, or a processor is unknown.
        """
        where = caller()
        assembly = self._changing()
        spec = plain_store(store, where, self._engine)
        assembly.add_store(spec)
        for processor in processors:
            assembly.connect(processor, spec.name, where)
        return self

    def connect_processor_and_state_stores(self, processor: str, *stores: str) -> Self:
        """Let a processor use stores that were added before, by their names. Twice is fine.

        Raises:
            TopologyError: there is no such processor or store, or none is named.
        """
        where = caller()
        if not stores:
            raise TopologyError(f"{where}: no store is named to connect '{processor}' to")
        assembly = self._changing()
        for store in stores:
            if not isinstance(store, str):
                raise TopologyError(
                    f"{where}: name the store, found {store!r}; add_state_store() adds a declared one"
                )
            assembly.connect(processor, store, where)
        return self

    def add_read_only_state_store(
        self,
        name: str,
        store: Store[Any],
        topic: str | Topic[Any, Any],
        processor: Callable[[], Any] | None = None,
    ) -> Self:
        """Add a store that holds a topic as it is, in each task its partition: the topic is the store's changelog.

        `processor` fills it, with the records as they are, since a restart restores those; without one, one is made
        that does. It gets `name`, its source `<name>-source`. Other processors, once connected, only read the store. A
        topic given by name has its serdes.

        Raises:
            TopologyError: a name is taken, the topic is read already, or the store or the supplier is wrong.
        """
        where = caller()
        spec = plain_store(store, where, self._engine)
        assembly = self._changing()
        add_read_only_store(assembly, name, spec, store, topic, processor)
        add_stores_of_wrapper(self.wrapper, assembly, (name,), self._engine)
        return self

    def add_global_store(
        self, name: str, store: Store[Any], topic: str | Topic[Any, Any], processor: Callable[[], Any]
    ) -> Self:
        """Add a store that every instance fills from all of a topic: `processor` puts into it, and gives nothing on.

        All processors may read it, without being connected. The processor gets `name`, its source `<name>-source`. A
        topic given by name has text keys and raw values.

        Raises:
            TopologyError: a name is taken, the topic is read already, a serde is missing, or the supplier is wrong.
        """
        where = caller()
        (handle,) = handles_of(topic, None, None, where)
        operator = ProcessorOperator(processor, name=name, where=where)
        spec = global_store(plain_store(store, where, self._engine), handle.name)
        operator.check_fills(spec)
        assembly = self._changing()
        assembly.add_global_store(
            spec,
            SourceNode(f"{name}-source", (handle.name,), handle.key, handle.value, where),
            ProcessorNode(name, operator, where, calls=short_name(processor)),
        )
        add_stores_of_wrapper(self.wrapper, assembly, (name,), self._engine)
        if handle.partitions is not None:
            assembly.declare_partitions(handle.name, handle.partitions, where)
        return self

    @property
    def _global_stores(self) -> Mapping[str, StoreSpec]:
        return {name: spec for name, spec in self._assembly.stores.items() if spec.global_topic is not None}

    def _changing(self) -> Assembly:
        if self._is_built:
            raise TopologyError(
                f"{caller()}: a topology made by StreamsBuilder cannot be changed; add to the builder"
            )
        self._subtopologies = None
        return self._assembly

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Nodes by name, in the order in which they were added: parents before children."""
        return MappingProxyType(self._assembly.nodes)

    @property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the nodes above each node."""
        return MappingProxyType(self._assembly.parents)

    @property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the nodes below each node, in the order in which they get records."""
        return MappingProxyType(self._assembly.children)

    @property
    def stores(self) -> Mapping[str, StoreSpec]:
        """Stores by name."""
        return MappingProxyType(self._assembly.stores)

    @property
    def repartition_topics(self) -> Mapping[str, RepartitionTopic]:
        """Internal topics between sub-topologies, by name without the application id."""
        return MappingProxyType(self._assembly.repartition_topics)

    @property
    def declared_partitions(self) -> Mapping[str, int]:
        """Partition counts that were declared with topics."""
        return MappingProxyType(self._assembly.declared_partitions)

    @property
    def copartition_groups(self) -> tuple[frozenset[str], ...]:
        """Sets of topics (without the application id) that need equal partition counts."""
        return copartition_groups(self._assembly)

    @property
    def copartitioned_sources(self) -> tuple[frozenset[str], ...]:
        """Sets of sources, by their names, that meet in a join; in the order in which they were declared."""
        return tuple(self._assembly.copartitioned)

    @property
    def keyed_topics(self) -> frozenset[str]:
        """Topics of others whose keys have to lie in their own partition: joined, or aggregated as they are."""
        return keyed_topics(self._assembly)

    @property
    def partitioned_otherwise(self) -> frozenset[str]:
        """Topics whose keys others place, as their declarations say."""
        return frozenset(self._assembly.partitioned_otherwise)

    @property
    def subtopologies(self) -> tuple[SubTopology, ...]:
        """Its parts, which run as tasks, but for those that fill global stores; the id of each is its index."""
        if self._subtopologies is None:
            self._subtopologies = subtopologies(self._assembly)
        return self._subtopologies

    @property
    def global_part(self) -> SubTopology | None:
        """What fills its global stores, all of it together; None where it has none."""
        return global_part(self.subtopologies)

    def decorate(self, topic: str, application_id: str) -> str:
        """Return a topic's full name: internal ones have the application id in front."""
        return f"{application_id}-{topic}" if topic in self._assembly.repartition_topics else topic

    def with_topics(
        self, existing: Iterable[str], *, otherwise: Callable[[SourceNode], str] | None = None
    ) -> "Topology":
        """Return a topology whose patterns are replaced by the topics that they match among the existing ones.

        Topics that a source names are not matched. Without patterns it is this topology itself. `otherwise` gives the
        topic that stands for those of a pattern that matches none, an error without it; then no pattern is left.

        Raises:
            TopologyError: two patterns match one topic, or a pattern matches none.
        """
        assembly = matched(self._assembly, existing, otherwise)
        return self if assembly is None else Topology.built(assembly, self.wrapper)

    def validate(self) -> None:
        """Refuse what cannot run.

        Raises:
            TopologyError: it has no source, or a store is connected to nothing.
        """
        if not any(isinstance(node, SourceNode) for node in self._assembly.nodes.values()):
            raise TopologyError(
                "the topology reads no topic: begin with StreamsBuilder.stream(...) or add_source(...)"
            )
        self._assembly.check_stores()

    # ── for people ───────────────────────────────────────────────────────────────────────────────────────────────

    def describe(self) -> str:
        """Return the text that Kafka Streams' `Topology.describe()` gives."""
        return as_text(self.subtopologies, self.nodes, self.parents, self.children)

    def to_mermaid(self) -> str:
        """Return a Mermaid flow chart."""
        return as_mermaid(self.subtopologies, self.nodes, self.children)

    def to_dict(self) -> dict[str, Any]:
        """Return nodes, links and stores as plain data, for JSON."""
        return to_plain(self.subtopologies, self.nodes, self.parents, self.children)

    def _repr_markdown_(self) -> str:
        return f"```mermaid\n{self.to_mermaid()}```\n"

    def __repr__(self) -> str:
        return f"<Topology of {len(self.nodes)} nodes in {len(self.subtopologies)} sub-topologies>"
