"""A declared store: what user code names, hands to the DSL, connects to processors and queries. Does no IO."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.serde.rows import RowSerde
from headrace.serde.serde import Serde
from headrace.state.spec import Engine, StoreKind, StoreSpec

__all__ = ["Logging", "Store", "check_handle", "check_logging", "unreadable"]

S_co = TypeVar("S_co", covariant=True)

#: Whether a store has a changelog; a mapping holds topic properties for it, by Kafka's names.
Logging: TypeAlias = bool | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Store(Generic[S_co]):
    """A declared store. Make one with `stores.key_value`, `stores.window` or `stores.session`.

    What is None is decided by whoever uses it: the DSL knows names, serdes and window sizes, and caches unless told not
    to; processors' stores are not cached unless told so.

    Attributes:
        logging: whether there is a changelog; a mapping holds topic properties for it.
        retention_ms: of a window store or a session store.
        size_ms: of a window store.
        history_ms: of a versioned store.
        ttl_ms: of a key-value store whose rows expire.
        rows_max: of a key-value store with a bound.
        make: of a store of the user's own, what makes the object.
        persistent: whether such a store keeps files.
        headers: whether its values are `Stamped`.
    """

    name: str | None
    kind: StoreKind
    key: Serde[Any] | None = None
    value: Serde[Any] | None = None
    engine: Engine | None = None
    caching: bool | None = None
    logging: Logging = True
    retention_ms: int | None = None
    size_ms: int | None = None
    history_ms: int | None = None
    ttl_ms: int | None = None
    rows_max: int | None = None
    make: Callable[[], Any] | None = None
    persistent: bool = False
    headers: bool = False


def check_logging(logging: Logging) -> Logging:
    """Return what was given, if it can be that.

    Raises:
        ValueError: it is neither a boolean nor a mapping.
    """
    if not isinstance(logging, bool | Mapping):
        raise ValueError(f"logging={logging!r} is wrong: write True, False, or topic properties as a mapping")
    return logging


def check_handle(store: Store[Any], spec: StoreSpec) -> None:
    """Refuse a handle that would read the store's bytes as something else.

    Raises:
        TopologyError: the store is of another kind, or has other serdes.
    """
    if spec.kind == "suppress":
        raise unreadable(spec)
    if store.kind != spec.kind:
        raise TopologyError(
            f"store {spec.name!r} ({spec.where}) is a {spec.kind.replace('_', '-')} store, and is asked for as a "
            f"{store.kind.replace('_', '-')} store: declare it once with stores.{spec.kind}(...), and use that "
            "everywhere"
        )
    if store.headers != spec.stamped:
        has = "has values with headers" if spec.stamped else "has values alone"
        raise TopologyError(
            f"store {spec.name!r} ({spec.where}) {has}, and is asked for with headers={store.headers}: declare it "
            "once, and use that everywhere"
        )
    value = spec.value.shown if isinstance(spec.value, RowSerde) else spec.value
    for part, declared, found in (("keys", store.key, spec.key), ("values", store.value, value)):
        if declared is not None and found is not None and declared != found:
            raise TopologyError(
                f"store {spec.name!r} ({spec.where}) has {part} of {found!r}, and is asked for with {declared!r}: "
                "declare it once, and use that everywhere"
            )


def unreadable(spec: StoreSpec) -> TopologyError:
    """Make the error of a store that only the node has which it belongs to, or the processors of a task."""
    if spec.kind == "custom":
        return TopologyError(
            f"store {spec.name!r} ({spec.where}) is one of your own, which its processors alone have: let them forward "
            "what is to be read, or keep that in a stores.key_value(...) too"
        )
    return TopologyError(
        f"store {spec.name!r} ({spec.where}) has what suppress() holds back, and cannot be read: give the table above "
        "it a store, or keep what comes out of it, as to_stream().to_table(store=...) does"
    )
