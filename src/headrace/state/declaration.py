"""A declared store: what user code names, hands to the DSL, connects to processors and queries. Does no IO."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.serde.serde import Serde
from headrace.state.spec import Engine, StoreKind, StoreSpec

__all__ = ["Store", "check_handle"]

S_co = TypeVar("S_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Store(Generic[S_co]):
    """A declared store. Make one with `stores.key_value`, `stores.window` or `stores.session`.

    What is None is decided by whoever uses it: the DSL knows names, serdes and window sizes, and caches unless told not
    to; processors' stores are not cached unless told so.

    Attributes:
        logging: whether there is a changelog; a mapping holds topic properties for it.
        retention_ms: of a window store or a session store.
        size_ms: of a window store.
    """

    name: str | None
    kind: StoreKind
    key: Serde[Any] | None = None
    value: Serde[Any] | None = None
    engine: Engine | None = None
    caching: bool | None = None
    logging: bool | Mapping[str, str] = True
    retention_ms: int | None = None
    size_ms: int | None = None


def check_handle(store: Store[Any], spec: StoreSpec) -> None:
    """Refuse a handle that would read the store's bytes as something else.

    Raises:
        TopologyError: the store is of another kind, or has other serdes.
    """
    if store.kind != spec.kind:
        raise TopologyError(
            f"store {spec.name!r} ({spec.where}) is a {spec.kind.replace('_', '-')} store, and is asked for as a "
            f"{store.kind.replace('_', '-')} store: declare it once with stores.{spec.kind}(...), and use that "
            "everywhere"
        )
    for part, declared, found in (("keys", store.key, spec.key), ("values", store.value, spec.value)):
        if declared is not None and declared != found:
            raise TopologyError(
                f"store {spec.name!r} ({spec.where}) has {part} of {found!r}, and is asked for with {declared!r}: "
                "declare it once, and use that everywhere"
            )
