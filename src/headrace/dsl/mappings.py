"""New keys and values for a stream, by a function: where their serdes come from. Source: `KStreamImpl`."""

from collections.abc import Callable
from typing import Any

from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.expressed import keyed_mapper, of_record, refuse_other_than_documents
from headrace.dsl.functions import element_of, pair_of, plain, result_annotation
from headrace.dsl.serdes import Typed, of_annotation, of_result
from headrace.dsl.stream_state import Flow
from headrace.operators.stateless import FlatMap, FlatMapValues, Map, MapValues, SelectKey
from headrace.operators.together import MapValuesAsync, MapValuesBatch
from headrace.topology.arguments import given
from headrace.topology.wiring import Operator

__all__ = [
    "flat_mapped",
    "flat_mapped_values",
    "mapped",
    "mapped_async",
    "mapped_batches",
    "mapped_values",
    "with_new_key",
]


def with_new_key(flow: Flow, selector: object, *, key: object, name: str | None, where: Location) -> Flow:
    """Replace the key by what the function gives."""
    fn = of_record(selector, "selector", where, flow)
    serde = of_result(fn, key, "key", where)
    operator = SelectKey(fn)
    flow = flow.then_stateless(
        name, "KSTREAM-KEY-SELECT-", where, operator, calls=fn, key=serde, needs_repartition=True
    )
    flow.node.changes_key = True
    return flow


def mapped(
    flow: Flow, mapper: object, *, key: object, value: object, name: str | None, where: Location
) -> Flow:
    """Replace key and value by the pair that the function gives."""
    fn, _ = plain(mapper, "mapper", where, "key", "value")
    pair = result_annotation(fn)
    return _as_pairs(flow, Map(fn), "KSTREAM-MAP-", fn, pair, key=key, value=value, name=name, where=where)


def flat_mapped(
    flow: Flow, mapper: object, *, key: object, value: object, name: str | None, where: Location
) -> Flow:
    """Replace a record by the pairs that the function gives."""
    fn, _ = plain(mapper, "mapper", where, "key", "value", yields=True)
    pair = element_of(result_annotation(fn))
    return _as_pairs(
        flow, FlatMap(fn), "KSTREAM-FLATMAP-", fn, pair, key=key, value=value, name=name, where=where
    )


def _as_pairs(
    flow: Flow,
    operator: Map | FlatMap,
    prefix: str,
    fn: Callable[..., Any],
    pair: object,
    *,
    key: object,
    value: object,
    name: str | None,
    where: Location,
) -> Flow:
    key_annotation, value_annotation = pair_of(pair)
    flow = flow.then_stateless(
        name,
        prefix,
        where,
        operator,
        calls=fn,
        key=given(key, "key", where) or of_annotation(key_annotation, fn, "key"),
        value=given(value, "value", where) or of_annotation(value_annotation, fn, "value"),
        needs_repartition=True,
    )
    flow.node.changes_key = True
    return flow


def mapped_values(flow: Flow, mapper: object, *, value: object, name: str | None, where: Location) -> Flow:
    """Replace the value by what the function gives."""
    fn, with_key = keyed_mapper(mapper, "mapper", where, flow)
    serde = of_result(fn, value, "value", where)
    refuse_other_than_documents(mapper, "mapper", serde, where)
    operator = MapValues(fn, with_key=with_key)
    flow = flow.then_stateless(name, "KSTREAM-MAPVALUES-", where, operator, calls=fn, value=serde)
    flow.node.changes_value = True
    return flow


def mapped_batches(
    flow: Flow, mapper: object, *, batch_max: object, value: object, name: str | None, where: Location
) -> Flow:
    """Replace values by those that the function gives of many at once."""
    fn, _ = plain(mapper, "mapper", where, "values", yields=True)
    most = _count(batch_max, "batch_max", where)
    serde = given(value, "value", where) or of_annotation(element_of(result_annotation(fn)), fn, "value")
    return _together(flow, MapValuesBatch(fn, most), fn, serde, name, where)


def mapped_async(
    flow: Flow,
    mapper: object,
    *,
    concurrency: object,
    timeout: Duration | None,
    value: object,
    name: str | None,
    where: Location,
) -> Flow:
    """Replace values by what the async function makes of each."""
    fn, with_key = plain(mapper, "mapper", where, "value", keyed=True, awaits=True)
    most = _count(concurrency, "concurrency", where)
    serde = of_result(fn, value, "value", where)
    seconds = None if timeout is None else milliseconds(timeout, name="timeout") / 1000
    operator = MapValuesAsync(fn, with_key=with_key, concurrency=most, timeout_seconds=seconds)
    return _together(flow, operator, fn, serde, name, where)


def _together(
    flow: Flow, operator: Operator, fn: Callable[..., Any], serde: Typed, name: str | None, where: Location
) -> Flow:
    flow = flow.then_stateless(name, "KSTREAM-PROCESSVALUES-", where, operator, calls=fn, value=serde)
    flow.node.changes_value = True
    return flow


def _count(count: object, name: str, where: Location) -> int:
    if type(count) is not int or count < 1:
        raise TopologyError(
            f"{where}: {name}={count!r} is no number of records: an int of 1 or more is wanted"
        )
    return count


def flat_mapped_values(
    flow: Flow, mapper: object, *, value: object, name: str | None, where: Location
) -> Flow:
    """Replace the value by the values that the function gives."""
    fn, with_key = plain(mapper, "mapper", where, "value", yields=True, keyed=True)
    serde = given(value, "value", where) or of_annotation(element_of(result_annotation(fn)), fn, "value")
    operator = FlatMapValues(fn, with_key=with_key)
    flow = flow.then_stateless(name, "KSTREAM-FLATMAPVALUES-", where, operator, calls=fn, value=serde)
    flow.node.changes_value = True
    return flow
