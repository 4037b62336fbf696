"""Holds a table's updates back. Source: `KTableImpl.suppress`, `GraphGraceSearchUtil`."""

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.graph import GraphNode, GraphProcessor, Repartition
from headrace.dsl.materialized import Materialized
from headrace.dsl.serdes import UnknownSerde
from headrace.dsl.stream_state import Flow, TableState
from headrace.dsl.suppressed import Suppressed
from headrace.operators.silence import Idle
from headrace.operators.suppress import Holding, Suppress, SuppressGetter
from headrace.serde.windowed import WindowedSerde
from headrace.state.declaration import Store

__all__ = ["suppressed_table"]

_PREFIX = "KTABLE-SUPPRESS-"


def suppressed_table(table: TableState, suppressed: object, where: Location) -> TableState:
    """Add the node that holds updates back; return the table that it lets go.

    Raises:
        TopologyError: it is not said how, windows are to close and the table has none, or the table has versions.
    """
    if not isinstance(suppressed, Suppressed):
        raise TopologyError(
            f"{where}: suppress() takes hr.until_window_closes() or hr.until_time_limit('5m'), found {suppressed!r}"
        )
    if table.is_versioned:
        raise TopologyError(
            f"{where}: suppress() cannot hold back a table with versions, whose updates may be late ones: keep it in a "
            "stores.key_value(...), or suppress what is aggregated of it"
        )
    flow = table.flow
    names = flow.building.graph.names
    # A name that is given uses up no index, neither here nor for the store.
    name = names.free_node(suppressed.name, _PREFIX, where)
    holding = Holding(
        wait_ms=_grace_ms(flow, where) if suppressed.limit_ms is None else suppressed.limit_ms,
        until_windows_close=suppressed.limit_ms is None,
        records_max=suppressed.max_records,
        bytes_max=suppressed.max_bytes,
        emits_early=suppressed.emits_early,
        idle=_idle_above(flow.node, where) if suppressed.limit_ms is None else None,
    )
    store_name = names.store(_PREFIX) if suppressed.name is None else f"{name}-store"
    store = Materialized.of(
        Store(store_name, "suppress", caching=False, logging=suppressed.logging),
        kind="suppress",
        names=names,
        prefix=_PREFIX,
        key=flow.key,
        value=flow.value,
        where=where,
    )
    # What was last sent on of a key is known by the old value of the first update that is held back.
    table.send_old_values(force=True)
    operator = Suppress(holding, store_name)
    out = flow.then(GraphProcessor(name, where, operator, stores=(store,)))
    return TableState(out, operator, lambda: SuppressGetter(table.getter(), store_name), None, parent=table)


def _grace_ms(flow: Flow, where: Location) -> int:
    """Return how long after its end a window of this table may change.

    Raises:
        TopologyError: its rows are no windows.
    """
    grace_ms = _grace_above(flow.node)
    if grace_ms is None or not isinstance(flow.key, WindowedSerde | UnknownSerde):
        raise TopologyError(
            f"{where}: until_window_closes() needs a table of windows, which {flow.name} is not: aggregate after "
            "windowed_by(...); or write hr.until_time_limit('5m'), which holds any key back"
        )
    return grace_ms


def _idle_above(node: GraphNode, where: Location) -> Idle | None:
    """Return after how long a silence the windows above close; None where they wait for records.

    Raises:
        TopologyError: they close by themselves, but not together with others, or in other tasks.
    """
    if node.grace_ms is not None:
        return node.idle
    found = {_idle_above(parent, where) for parent in node.parents}
    idle = next((each for each in found if each is not None), None)
    if idle is not None and (len(found) > 1 or isinstance(node, Repartition)):
        what = "go through a repartition topic" if isinstance(node, Repartition) else "are joined with others"
        raise TopologyError(
            f"{where}: until_window_closes() is told of windows that close by themselves (idle=) right below them, but "
            f"these {what} before: suppress them first"
        )
    return idle


def _grace_above(node: GraphNode) -> int | None:
    """Return the longest grace of the windows that the rows are of; None where any way up leads to none."""
    if node.grace_ms is not None:
        return node.grace_ms
    graces = [_grace_above(parent) for parent in node.parents]
    known = [grace_ms for grace_ms in graces if grace_ms is not None]
    return max(known) if known and len(known) == len(graces) else None
