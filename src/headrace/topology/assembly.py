"""Puts nodes, links and stores together and refuses what cannot work. Both the DSL and `Topology` build with it."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.state.spec import StoreSpec
from headrace.topology.names import check_name
from headrace.topology.nodes import Node, ProcessorNode, RepartitionTopic, SinkNode, SourceNode

__all__ = ["Assembly"]


class Assembly:
    """A topology in the making. Nodes are added parents first, so their order is a topological one.

    Attributes:
        nodes: by name, in the order in which they were added.
        parents, children: names of linked nodes, in the order of linking.
        stores: by name; `users` are the nodes connected to each, in the order of connecting.
        repartition_topics: by name, without the application id.
        copartitioned: source nodes whose topics need equal partition counts; one set a join or other meeting.
        stand_ins: names in `copartitioned` of sources that are none, with the sources that stand in for them.
        keyed: source nodes whose keys decide what meets: below them is a join, or an aggregation, without a repartition
            between.
        declared_partitions: by topic.
        partitioned_otherwise: topics whose producers mean to place keys in a way of their own.
        global_nodes: sources and processors of global stores, below which nothing may be.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.parents: dict[str, tuple[str, ...]] = {}
        self.children: dict[str, tuple[str, ...]] = {}
        self.stores: dict[str, StoreSpec] = {}
        self.users: dict[str, tuple[str, ...]] = {}
        self.repartition_topics: dict[str, RepartitionTopic] = {}
        self.copartitioned: list[frozenset[str]] = []
        self.stand_ins: dict[str, str] = {}
        self.keyed: set[str] = set()
        self.declared_partitions: dict[str, int] = {}
        self.partitioned_otherwise: set[str] = set()
        self.global_nodes: set[str] = set()
        self._readers: dict[str, str] = {}  # topic or pattern to its source node

    def add_source(self, node: SourceNode) -> None:
        """Add a source.

        Raises:
            TopologyError: the name is taken or illegal, it reads no topic, or another source reads the same one.
        """
        self._check_new(node)
        if not node.topics and node.pattern is None:
            raise TopologyError(f"source {node.name} ({node.where}) reads no topic; name at least one")
        for topic in (*node.topics, *((node.pattern,) if node.pattern else ())):
            reader = self._readers.get(topic)
            if reader is not None:
                other = self.nodes[reader]
                raise TopologyError(
                    f"{node.name} ({node.where}) reads topic '{topic}', which {other.name} ({other.where}) reads "
                    "already; read it once and use that stream or table in both places"
                )
        for topic in (*node.topics, *((node.pattern,) if node.pattern else ())):
            self._readers[topic] = node.name
        self._add(node, ())

    def add_processor(self, node: ProcessorNode, parents: Sequence[str]) -> None:
        """Add a processor below its parents; connects the stores that it names.

        Raises:
            TopologyError: the name is taken or illegal, a parent or store is not there, or there is no parent.
        """
        self._check_new(node)
        self._check_parents(node, parents)
        stores, node = node.stores, replace(node, stores=())
        self._add(node, parents)
        for store in stores:
            self.connect(node.name, store, node.where)

    def add_sink(self, node: SinkNode, parents: Sequence[str]) -> None:
        """Add a sink below its parents; raises as `add_processor`."""
        self._check_new(node)
        self._check_parents(node, parents)
        self._add(node, parents)
        if isinstance(node.topic, str) and node.partitions is not None:
            self.declare_partitions(node.topic, node.partitions, node.where)

    def add_store(self, spec: StoreSpec) -> None:
        """Add a store. The same specification twice is fine, and so is one declared store of several processors.

        Raises:
            TopologyError: another store has that name.
        """
        known = self.stores.get(spec.name)
        if known is spec or (known is not None and _is_shared(known, spec)):
            return
        if known is not None:
            raise TopologyError(
                f"there are two stores named '{spec.name}': {known.where} and {spec.where}; give one another name"
                f"{_hint_at_global(known, spec)}"
            )
        check_name(spec.name, "store", spec.where)
        self.stores[spec.name] = spec
        self.users[spec.name] = ()

    def add_global_store(self, spec: StoreSpec, source: SourceNode, processor: ProcessorNode) -> None:
        """Add a store, the source that it follows, and the processor that fills it from there.

        Raises:
            TopologyError: a name is taken or illegal, or another source reads the topic.
        """
        self.add_source(source)
        self.add_store(spec)
        self.add_processor(replace(processor, stores=(spec.name,)), (source.name,))
        self.global_nodes |= {source.name, processor.name}

    def connect(self, processor: str, store: str, where: Location) -> None:
        """Let a processor use a store. Twice is fine, and so is a global one, which every processor reads anyway.

        Raises:
            TopologyError: there is no such store or processor.
        """
        node = self.nodes.get(processor)
        if not isinstance(node, ProcessorNode):
            raise TopologyError(f"{where}: there is no processor '{processor}' to connect store '{store}' to")
        if store not in self.stores:
            raise TopologyError(
                f"{processor} ({node.where}) uses store '{store}', which was not added; pass its declared Store "
                "instead of its name, or add it before with add_state_store() (added so far: "
                f"{', '.join(self.stores) or 'none'})"
            )
        is_read_by_all = self.stores[store].global_topic is not None and self.users[store]
        if store not in node.stores and not is_read_by_all:
            self.nodes[processor] = replace(node, stores=(*node.stores, store))
            self.users[store] = (*self.users[store], processor)

    def add_repartition_topic(self, topic: RepartitionTopic) -> None:
        """Register an internal topic between two sub-topologies."""
        self.repartition_topics[topic.name] = topic

    def copartition(self, sources: Iterable[str]) -> None:
        """Note that the topics of these source nodes need equal partition counts."""
        self.copartitioned.append(frozenset(sources))

    def declare_partitions(self, topic: str, partitions: int, where: Location) -> None:
        """Note a declared partition count.

        Raises:
            TopologyError: it was declared with another count.
        """
        known = self.declared_partitions.setdefault(topic, partitions)
        if known != partitions:
            raise TopologyError(
                f"{where}: topic '{topic}' is declared with {partitions} partitions here and with {known} elsewhere; "
                "declare it once as a Topic and use that in both places"
            )

    def check_stores(self) -> None:
        """Refuse stores that nobody uses.

        Raises:
            TopologyError: it names them.
        """
        unused = [spec for name, spec in self.stores.items() if not self.users[name]]
        if unused:
            names = ", ".join(f"'{spec.name}' ({spec.where})" for spec in unused)
            raise TopologyError(
                f"no processor is connected to store {names}; pass the store to process() or remove it"
            )

    def copy(self) -> "Assembly":
        """Return an assembly that can be changed without changing this one."""
        other = Assembly()
        for name, value in vars(self).items():
            setattr(other, name, value.copy())
        return other

    def _add(self, node: Node, parents: Sequence[str]) -> None:
        self.nodes[node.name] = node
        self.parents[node.name] = tuple(dict.fromkeys(parents))
        self.children[node.name] = ()
        for parent in self.parents[node.name]:
            self.children[parent] = (*self.children[parent], node.name)

    def _check_new(self, node: Node) -> None:
        check_name(node.name, "node", node.where)
        known = self.nodes.get(node.name)
        if known is not None:
            raise TopologyError(
                f"there are two nodes named '{node.name}': {known.where} and {node.where}; give one another name="
            )

    def _check_parents(self, node: ProcessorNode | SinkNode, parents: Sequence[str]) -> None:
        if not parents:
            raise TopologyError(
                f"{node.name} ({node.where}) has no parent; name the nodes that it gets records from"
            )
        for parent in parents:
            if parent not in self.nodes:
                raise TopologyError(
                    f"{node.name} ({node.where}) names '{parent}' as a parent, which was not added before it "
                    f"(added so far: {', '.join(self.nodes) or 'none'})"
                )
            if parent in self.global_nodes:
                raise TopologyError(
                    f"{node.name} ({node.where}) is below '{parent}', which fills a global store: nothing follows it; "
                    "processors read the store, which needs no connection"
                )
            if isinstance(self.nodes[parent], SinkNode):
                raise TopologyError(
                    f"{node.name} ({node.where}) is below '{parent}', a sink; sinks have no children"
                )


def _hint_at_global(one: StoreSpec, other: StoreSpec) -> str:
    if one.global_topic is None and other.global_topic is None:
        return ""
    return (
        ". Processors that read a global store need not name it; those that do so are added after it, and name the "
        "store that it was declared with"
    )


def _is_shared(one: StoreSpec, other: StoreSpec) -> bool:
    """Whether two processors name one declared store. Tables own theirs, and share it with nobody by its name."""
    if one.timestamped or other.timestamped:
        return False
    return all(
        getattr(one, field.name) == getattr(other, field.name)
        for field in fields(StoreSpec)
        if field.name != "where"
    )
