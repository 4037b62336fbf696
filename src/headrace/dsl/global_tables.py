"""Global tables and stores: every instance has all of a topic. Source: `InternalStreamsBuilder.globalTable`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, NoReturn

from typing_extensions import TypeVar

from headrace.base.callables import short_name
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.expressed import of_record
from headrace.dsl.functions import WithKeys, plain, result_annotation
from headrace.dsl.graph import Graph, GraphNode, GraphProcessor
from headrace.dsl.materialized import Materialized
from headrace.dsl.serdes import of_annotation, of_result, refuse_clash
from headrace.dsl.sources import table_nodes
from headrace.dsl.stream_state import Flow
from headrace.operators.getters import StoreGetter
from headrace.operators.global_join import GlobalTableJoin, JoinerKeys
from headrace.operators.table import TableSource
from headrace.state.spec import Engine, StoreSpec
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import ProcessorNode, SourceNode
from headrace.topology.plain_stores import global_store
from headrace.topology.processors import ProcessorOperator
from headrace.topology.topics import Topic
from headrace.topology.wiring import Operator

__all__ = ["GlobalKTable", "filled_by_processor", "joined_with_global_table", "read_globally"]

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)


class GlobalKTable(Generic[K, V_co]):
    """All rows of a topic, in every instance of the application. Streams are joined with it, and it can be queried."""

    def __init__(self, spec: StoreSpec) -> None:
        self._spec = spec

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    @property
    def store_name(self) -> str:
        """Name of its store, which processors and queries ask for."""
        return self._spec.name


@dataclass(frozen=True, slots=True)
class _Filling:
    """What fills a global store: from which topic, and by what."""

    source: str
    topic: Topic[Any, Any]
    operator: Operator
    calls: str = ""


class _GlobalStoreNode(GraphNode):
    """A global store, with its source and the processor that fills it, whose name is its own."""

    def __init__(self, name: str, where: Location, spec: StoreSpec, filling: _Filling) -> None:
        super().__init__(name, where)
        self.spec = spec
        self.filling = filling

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add all three."""
        filling = self.filling
        topic = filling.topic
        out.add_global_store(
            self.spec,
            SourceNode(filling.source, (topic.name,), topic.key, topic.value, self.where),
            ProcessorNode(self.name, filling.operator, self.where, calls=filling.calls),
        )


def _add(graph: Graph, name: str, where: Location, spec: StoreSpec, filling: _Filling) -> None:
    graph.add(_GlobalStoreNode(name, where, spec, filling))
    graph.global_stores[spec.name] = spec


def read_globally(
    graph: Graph,
    topic: Topic[Any, Any],
    materialized: Materialized,
    engine: Engine,
    *,
    name: str | None,
    where: Location,
) -> GlobalKTable[Any, Any]:
    """Add a table that keeps all of a topic, as it is read."""
    source, table = table_nodes(graph.names, name, where)
    spec = replace(global_store(materialized.spec(table, engine), topic.name), source_topic=topic.name)
    _add(graph, table, where, spec, _Filling(source, topic, TableSource(spec.name)))
    return GlobalKTable(spec)


def filled_by_processor(
    graph: Graph,
    topic: Topic[Any, Any],
    spec: StoreSpec,
    supplier: Callable[[], Any],
    *,
    name: str | None,
    where: Location,
) -> None:
    """Add a store that a user's processor fills from a topic.

    Raises:
        TopologyError: the supplier is wrong.
    """
    source, node = table_nodes(graph.names, name, where)
    operator = ProcessorOperator(supplier, name=node, where=where)
    operator.check_fills(spec)
    _add(graph, node, where, spec, _Filling(source, topic, operator, short_name(supplier)))


def joined_with_global_table(
    flow: Flow,
    spec: StoreSpec,
    joiner: object,
    on: object,
    value: object,
    *,
    name: str | None,
    where: Location,
    left: bool,
) -> Flow:
    """Add a join; return the flow out of it. Nothing is repartitioned: the table is whole wherever the record is.

    Raises:
        TopologyError: the key selector is missing, or a function is wrong.
    """
    if on is None:
        raise TopologyError(
            f"{where}: a join with a global table needs on=, a function of key and value that returns the table's key; "
            "on=lambda key, value: key takes the record's own"
        )
    selector = of_record(on, "key selector", where, flow)
    selected = of_annotation(result_annotation(selector), selector, "key")
    refuse_clash(selected, spec.key, "key", "the global table that it is joined with", where)
    fn, keys = _joining(joiner, where)
    # Inner joins are named so too: Kafka Streams' state and topics are named after the index that this uses up.
    node_name = flow.building.graph.names.node(name, "KSTREAM-LEFTJOIN-", where)
    operator = GlobalTableJoin(StoreGetter(spec.name), selector, fn, keys=keys, left=left)
    node = GraphProcessor(node_name, where, operator, calls=fn)
    node.relaxes_null_keys = left
    return flow.then(node, value=of_result(fn, value, "value", where))


def _joining(joiner: object, where: Location) -> tuple[Callable[..., Any], JoinerKeys]:
    if isinstance(joiner, WithKeys):
        fn, _ = plain(joiner.fn, "joiner", where, "key", "table_key", "value", "other")
        return fn, JoinerKeys.BOTH
    fn, with_key = plain(joiner, "joiner", where, "value", "other", keyed=True)
    return fn, JoinerKeys.STREAM if with_key else JoinerKeys.NONE
