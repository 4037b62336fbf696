"""Records that become a table's rows: of a stream that ends as one, or the answers of a foreign-key join."""

from headrace.base.ids import Location
from headrace.dsl.graph import GraphNode
from headrace.dsl.materialized import Materialized
from headrace.dsl.stream_state import Flow, TableState, source_table
from headrace.operators.table import TableSource
from headrace.state.spec import Engine
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import ProcessorNode

__all__ = ["made_table"]


class _TableNode(GraphNode):
    """Where records become updates; its store is added only if something needs it."""

    def __init__(self, name: str, where: Location, operator: TableSource, store: Materialized) -> None:
        super().__init__(name, where)
        self.operator = operator
        self.store = store

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add store and processor."""
        stores: tuple[str, ...] = ()
        if self.operator.store is not None:
            out.add_store(self.store.spec(self.name, engine))
            stores = (self.store.name,)
        out.add_processor(ProcessorNode(self.name, self.operator, self.where, stores), self.parent_names)


def made_table(
    flow: Flow, name: str, store: Materialized, where: Location, operator: TableSource | None = None
) -> TableState:
    """Take records as a table's updates, by an operator if they are no plain ones; return the table."""
    operator = operator or TableSource(store.name if store.queryable else None)
    return source_table(flow.then(_TableNode(name, where, operator, store)), operator, store)
