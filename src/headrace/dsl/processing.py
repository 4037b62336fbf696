"""Leads a stream through a user's processor, with the stores that it uses."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.functions import element_of, result_annotation
from headrace.dsl.graph import GraphProcessor
from headrace.dsl.serdes import Typed, of_annotation
from headrace.dsl.stream_state import Building, Flow
from headrace.processor.api import ProcessorFunction
from headrace.state.declaration import Store
from headrace.state.spec import StoreSpec
from headrace.topology.arguments import given
from headrace.topology.plain_stores import names_global, plain_store
from headrace.topology.processors import ProcessorOperator

__all__ = ["DescribedProcessor", "described_processor", "processed", "processed_values"]


@dataclass(frozen=True, slots=True)
class DescribedProcessor:
    """A user's processor.

    Attributes:
        operator: runs it.
        specs, uses: the stores that it brings, and the names of others that it uses; global ones need no mention.
        calls: what pictures show.
        tells: the function whose annotation may tell what it gives.
    """

    operator: ProcessorOperator
    specs: tuple[StoreSpec, ...]
    uses: tuple[str, ...]
    calls: Callable[..., Any]
    tells: Callable[..., Any]

    def value(self, given_value: object, where: Location) -> Typed:
        """Return the serde of the values that it gives, of one that keeps the key."""
        told = element_of(result_annotation(self.tells))
        return given(given_value, "value", where) or of_annotation(told, self.tells, "value")

    def node(self, name: str, where: Location) -> GraphProcessor:
        """Make the node that it is."""
        return GraphProcessor(name, where, self.operator, stores=self.specs, uses=self.uses, calls=self.calls)


def processed(
    flow: Flow,
    supplier: Callable[[], Any],
    stores: Sequence[str | Store[Any]],
    *,
    key: object,
    value: object,
    name: str | None,
    where: Location,
) -> Flow:
    """Add a processor that may change keys."""
    node_name = flow.building.graph.names.free_node(name, "KSTREAM-PROCESSOR-", where)
    made = described_processor(node_name, where, supplier, stores, flow.building, fixed_key=False)
    return flow.then(
        made.node(node_name, where),
        key=_record_part(made.tells, 0, key, "key", where),
        value=_record_part(made.tells, 1, value, "value", where),
        needs_repartition=True,
    )


def processed_values(
    flow: Flow,
    supplier: Callable[[], Any],
    stores: Sequence[str | Store[Any]],
    *,
    value: object,
    name: str | None,
    where: Location,
) -> Flow:
    """Add a processor that keeps the key."""
    node_name = flow.building.graph.names.free_node(name, "KSTREAM-PROCESSVALUES-", where)
    made = described_processor(node_name, where, supplier, stores, flow.building, fixed_key=True)
    return flow.then(made.node(node_name, where), value=made.value(value, where))


def described_processor(
    name: str,
    where: Location,
    supplier: Callable[[], Any],
    stores: Sequence[str | Store[Any]],
    building: Building,
    *,
    fixed_key: bool,
) -> DescribedProcessor:
    """Return what a node's processor is.

    Raises:
        TopologyError: the supplier is wrong, or something else than a store is named.
    """
    _check_makes(supplier, name, where)
    operator = ProcessorOperator(supplier, name=name, where=where, fixed_key=fixed_key)
    specs: list[StoreSpec] = []
    uses: list[str] = []
    for store in (*operator.declared_stores, *stores):
        if not isinstance(store, str | Store):
            raise TopologyError(f"{name} ({where}): expected a declared store or its name, found {store!r}")
        if names_global(store, building.graph.global_stores):
            continue
        if isinstance(store, str):
            uses.append(store)
        else:
            specs.append(plain_store(store, where, building.engine))
    tells: Callable[..., Any] = supplier
    if isinstance(supplier, ProcessorFunction):
        tells = supplier.function
    elif isinstance(supplier, type):
        tells = getattr(supplier, "process")  # noqa: B009 - a class of processors, which `type` does not tell
    calls = supplier.function if isinstance(supplier, ProcessorFunction) else supplier
    return DescribedProcessor(operator, tuple(specs), tuple(uses), calls, tells)


def _check_makes(supplier: object, name: str, where: Location) -> None:
    """Refuse a function that wants the record itself, and that nobody has made a processor."""
    if not inspect.isroutine(supplier):
        return
    try:
        signature = inspect.signature(supplier)
    except ValueError:
        return  # a builtin without a signature: the call will tell
    try:
        signature.bind()
    except TypeError:
        called = getattr(supplier, "__name__", "the function")
        raise TopologyError(
            f"{name} ({where}): {called}{signature} is not a function that makes a processor; to be given each record "
            "itself it needs @hr.processor(), with the stores that it uses"
        ) from None


def _record_part(fn: Callable[..., Any], index: int, spec: object, part: Any, where: Location) -> Typed:
    """Return the serde of the records that a processor's function is declared to return."""
    explicit = given(spec, part, where)
    if explicit is not None:
        return explicit
    arguments = getattr(element_of(result_annotation(fn)), "__args__", ())
    return of_annotation(arguments[index] if len(arguments) == 2 else None, fn, part)
