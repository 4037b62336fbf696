"""Puts the records of each key in order."""

from dataclasses import replace

from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore
from headrace.dsl.byte_stores import byte_store
from headrace.dsl.functions import plain
from headrace.dsl.graph import GraphProcessor
from headrace.dsl.idling import idle_time_ms
from headrace.dsl.late import late_topic
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.serdes import required
from headrace.dsl.stream_state import Flow
from headrace.operators.resequence import Resequence, Waiting
from headrace.operators.silence import Idle
from headrace.serde.primitives import int64
from headrace.serde.resolve import serde_of_keys
from headrace.state.declaration import Store
from headrace.state.spec import StoreSpec

__all__ = ["resequenced"]

_PREFIX = "KSTREAM-RESEQUENCE-"


def resequenced(
    flow: Flow,
    by: object,
    *,
    within: Duration,
    first: int | None,
    max_records: int,
    max_bytes: int | None,
    on_gap: object,
    idle: Duration | None,
    late_to: object,
    store: AnyStore,
    name: str | None,
    where: Location,
) -> Flow:
    """Add the node, and its stores; return the flow out of it.

    Raises:
        TopologyError: an argument is impossible, or has no use with the others.
    """
    by_time = isinstance(by, str) and by == "timestamp"
    number, with_key = (None, False) if by_time else plain(by, "function of by=", where, "value", keyed=True)
    if by_time:
        _refuse_numbers(where, first=first, on_gap=on_gap, store=store)
    _check_number(first, "first", where)
    _check_number(max_records, "max_records", where, least=1)
    _check_number(max_bytes, "max_bytes", where, least=1)
    within_ms = milliseconds(within, name="within")
    if within_ms == 0:
        raise TopologyError(f"{where}: within={within!r} would wait for nothing: more than 0 is wanted")
    told = None if on_gap is None else plain(on_gap, "on_gap", where, "key", "first", "last", acts=True)[0]
    late_into, idle_ms = late_topic(late_to, where), idle_time_ms(idle, where)
    flow = flow.repartitioned_for_join(name, flow.key, where)
    graph = flow.building.graph
    node_name = graph.names.node(name, _PREFIX, where)
    key = serde_of_keys(required(flow.key, node_name, where), node_name, where)
    value = required(flow.value, node_name, where)
    buffer = byte_store(flow, f"{node_name}-waiting", where)
    stores: list[Materialized | StoreSpec] = [buffer]
    if not by_time:
        stores.append(_progress(flow, store, node_name, where))
    if name is None:
        graph.names.generated_stores += [each.name for each in stores if each.name.startswith(node_name)]
    waiting = Waiting(
        within_ms,
        buffer.name,
        key,
        value,
        max_records,
        max_bytes,
        idle=None if idle_ms is None else Idle(idle_ms),
    )
    operator = Resequence(
        waiting,
        number,
        with_key=with_key,
        first=first,
        on_gap=told,
        progress="" if by_time else stores[-1].name,
    )
    late = None if late_into is None else late_into.below(node_name, flow.key, flow.value)
    graph.keyed |= flow.sources
    node = GraphProcessor(node_name, where, operator, stores=stores, calls=number, late=late)
    return replace(flow.then(node), needs_repartition=False)


def _progress(flow: Flow, store: AnyStore, node: str, where: Location) -> Materialized:
    declared = declared_store(store, "key_value", where)
    if declared is None:
        declared = Store(f"{node}-next", "key_value")
    elif declared.name is None:
        declared = replace(declared, name=f"{node}-next")
    made = Materialized.of(
        declared, names=flow.building.graph.names, prefix=_PREFIX, key=flow.key, value=int64, where=where
    )
    made.may_cache = False
    return made


def _refuse_numbers(where: Location, **arguments: object) -> None:
    for argument, given in arguments.items():
        if given is not None:
            raise TopologyError(
                f"{where}: {argument}= is of numbers, and timestamps have no gaps: leave it out, or give by= the "
                "function that numbers a key's records"
            )


def _check_number(given: object, argument: str, where: Location, *, least: int | None = None) -> None:
    if given is None:
        return
    if type(given) is not int or (least is not None and given < least):
        wanted = "an int is wanted" if least is None else f"an int of {least} or more is wanted"
        raise TopologyError(f"{where}: {argument}={given!r}: {wanted}")
