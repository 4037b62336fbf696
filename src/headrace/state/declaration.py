"""A declared store: what user code names, hands to the DSL, connects to processors and queries. Does no IO."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

from typing_extensions import TypeVar

from headrace.serde.serde import Serde
from headrace.state.spec import Engine, Kind

__all__ = ["Store"]

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Store(Generic[S]):
    """A declared store. Make one with `stores.key_value` or `stores.window`.

    What is None is decided by whoever uses it: the DSL knows names, serdes and window sizes, and caches unless told not
    to; processors' stores are not cached unless told so.

    Attributes:
        logging: whether there is a changelog; a mapping holds topic properties for it.
        retention_ms, size_ms: of a window store.
    """

    name: str | None
    kind: Kind
    key: Serde[Any] | None = None
    value: Serde[Any] | None = None
    engine: Engine | None = None
    caching: bool | None = None
    logging: bool | Mapping[str, str] = True
    retention_ms: int | None = None
    size_ms: int | None = None
