"""Tables made of one table, row by row: filtered, mapped, transformed.

Source: `KTableImpl.doFilter`, `KTableImpl.doMapValues`, `KTableImpl.doTransformValues`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore, Name
from headrace.dsl.expressed import keyed_mapper, of_record, refuse_other_than_documents
from headrace.dsl.graph import GraphProcessor
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.processing import described_processor
from headrace.dsl.serdes import Typed, of_result
from headrace.dsl.stream_state import TableOperator, TableState
from headrace.operators.getters import FilterGetter, Getter, MapGetter, StoreGetter, TransformGetter
from headrace.operators.table import TableFilter, TableMapValues, TableTransformValues
from headrace.state.declaration import Store

__all__ = ["filtered_table", "mapped_table", "transformed_table"]


def filtered_table(
    table: TableState, predicate: object, store: AnyStore, name: Name, where: Location, *, negate: bool
) -> TableState:
    """Add the node that deletes rows which do not pass; return its table."""
    fn = of_record(predicate, "predicate", where, table.flow)
    made = _materialized(table, store, "KTABLE-FILTER-", table.flow.value, where)
    operator = TableFilter(fn, negate=negate, store=_store_of(made), of_versions=table.is_versioned)
    # Where old values cost nothing, they tell which deletions nobody below has to hear of.
    operator.send_old = table.send_old_values(force=False)
    node = table.flow.building.graph.names.node(name, "KTABLE-FILTER-", where)
    return _view(
        table,
        GraphProcessor(node, where, operator, stores=_stores(made), calls=fn),
        operator,
        made,
        table.flow.value,
        lambda: FilterGetter(table.getter(), fn, negate=negate),
    )


def mapped_table(
    table: TableState, mapper: object, value: object, store: AnyStore, name: Name, where: Location
) -> TableState:
    """Add the node that replaces values; return its table."""
    fn, with_key = keyed_mapper(mapper, "mapper", where, table.flow)
    serde = of_result(fn, value, "value", where)
    refuse_other_than_documents(mapper, "mapper", serde, where)
    made = _materialized(table, store, "KTABLE-MAPVALUES-", serde, where)
    operator = TableMapValues(fn, with_key=with_key, store=_store_of(made))
    node = table.flow.building.graph.names.node(name, "KTABLE-MAPVALUES-", where)
    return _view(
        table,
        GraphProcessor(node, where, operator, stores=_stores(made), calls=fn),
        operator,
        made,
        serde,
        lambda: MapGetter(table.getter(), fn, with_key=with_key),
    )


def transformed_table(
    table: TableState,
    supplier: Callable[[], Any],
    stores: Sequence[str | Store[Any]],
    value: object,
    store: AnyStore,
    name: Name,
    where: Location,
) -> TableState:
    """Add the node that replaces values by what a processor gives; return its table."""
    building = table.flow.building
    node = building.graph.names.node(name, "KTABLE-TRANSFORMVALUES-", where)
    described = described_processor(node, where, supplier, stores, building, fixed_key=True)
    serde = described.value(value, where)
    declared, made = declared_store(store, "key_value", where, versions=True), None
    if declared is not None and declared.name is not None:
        made = _materialized(table, declared, "KTABLE-TRANSFORMVALUES-", serde, where)
    elif declared is not None:
        # Unlike a filter's and a mapping's, a store without a name uses no index up.
        serde = declared.value or serde
    operator = TableTransformValues(described.operator, _store_of(made))
    uses = (*(spec.name for spec in described.specs), *described.uses)
    processor = GraphProcessor(
        node,
        where,
        operator,
        stores=(*_stores(made), *described.specs),
        uses=described.uses,
        calls=described.calls,
    )
    return _view(
        table,
        processor,
        operator,
        made,
        serde,
        lambda: TransformGetter(table.getter(), described.operator, uses),
    )


def _materialized(
    table: TableState, store: AnyStore, prefix: str, value: Typed, where: Location
) -> Materialized | None:
    """Return what `store=` makes. Without a name it makes no store, but uses an index up, as in Java."""
    flow = table.flow
    declared = declared_store(store, "key_value", where, versions=True)
    if declared is None:
        return None
    names = flow.building.graph.names
    return Materialized.of(declared, names=names, prefix=prefix, key=flow.key, value=value, where=where)


def _store_of(made: Materialized | None) -> str | None:
    return None if made is None or not made.queryable else made.name


def _stores(made: Materialized | None) -> tuple[Materialized, ...]:
    return () if made is None or not made.queryable else (made,)


def _view(
    table: TableState,
    node: GraphProcessor,
    operator: TableOperator,
    made: Materialized | None,
    value: Typed,
    getter: Callable[[], Getter],
) -> TableState:
    flow = table.flow
    out = flow.then(
        node, key=flow.key if made is None else made.key, value=value if made is None else made.value
    )
    if made is None or not made.queryable:
        return TableState(out, operator, getter, None, parent=table, history_ms=None)
    kept = StoreGetter(made.name)
    return TableState(out, operator, lambda: kept, made.name, parent=table, history_ms=made.versions_ms)
