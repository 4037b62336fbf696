"""A table's store in the making: what the user said of it (Java's `Materialized`), and what the operator knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.naming import Names
from headrace.dsl.serdes import Typed, UnknownSerde, refuse_clash, required
from headrace.serde.rows import RowSerde
from headrace.serde.serde import Serde
from headrace.state.declaration import Store
from headrace.state.spec import Engine, StoreKind, StoreSpec
from headrace.topology.names import check_name

__all__ = ["Materialized", "declared_store"]


def declared_store(
    store: object, kind: StoreKind, where: Location, *, versions: bool = False
) -> Store[Any] | None:
    """Return what `store=` means: a declared store, a name, or nothing. With `versions`, it may be a versioned one.

    Raises:
        TopologyError: it is neither, or a store of another kind.
    """
    if store is None:
        return None
    if isinstance(store, str):
        return Store(check_name(store, "store", where), kind)
    if not isinstance(store, Store):
        raise TopologyError(f"{where}: store= takes a name or a declared store, found {store!r}")
    if store.kind != kind and not (versions and store.kind == "versioned"):
        wanted, found = kind.replace("_", "-"), store.kind.replace("_", "-")
        raise TopologyError(
            f"{where}: store {store.name!r} is a {found} store, and a {wanted} store is needed here: declare it with "
            f"stores.{kind}(...)"
        )
    if store.headers:
        raise TopologyError(
            f"{where}: store {store.name!r} is declared with headers=True, which is for processors; tables log headers "
            "as StreamsBuilder(store_format='headers') says"
        )
    if store.name is not None:
        check_name(store.name, "store", where)
    return store


@dataclass(slots=True)
class Materialized:
    """A store that the topology will hold, if somebody needs it.

    Attributes:
        queryable: whether the user gave it its name.
        retains_duplicates: a window store that keeps each record of a join: these have no time but their window's, and
            none of them is the last of its key.
        time_ordered: whether its cells can be read by time too.
        may_cache: whether it is cached unless the user says otherwise.
        rows: serde of what it keeps, where it shows values that are made of that.
        source_topic: restored from this topic instead of from a changelog; set by the optimiser.
    """

    name: str
    kind: StoreKind
    key: Typed
    value: Typed
    queryable: bool
    declared: Store[Any]
    where: Location
    retention_ms: int | None = None
    size_ms: int | None = None
    history_ms: int | None = None
    grace_ms: int | None = None
    retains_duplicates: bool = False
    time_ordered: bool = False
    may_cache: bool = True
    rows: RowSerde | None = None
    source_topic: str | None = None
    _spec: StoreSpec | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(
        cls,
        declared: Store[Any] | None,
        *,
        kind: StoreKind = "key_value",
        names: Names,
        prefix: str,
        key: Typed,
        value: Typed,
        where: Location,
    ) -> "Materialized":
        """Decide name and serdes. Without a name it takes one from the counter, whether it is used or not."""
        if declared is None:
            declared = Store(None, kind)
        elif kind == "key_value":
            kind = declared.kind  # a versioned one may stand for it: see `declared_store`
        name = declared.name if declared.name is not None else names.store(prefix)
        if declared.key is not None:
            refuse_clash(key, declared.key, "key", f"store '{name}'", where)
        if declared.value is not None:
            refuse_clash(value, declared.value, "value", f"store '{name}'", where)
        return cls(
            name=name,
            kind=kind,
            key=declared.key or key,
            value=declared.value or value,
            queryable=declared.name is not None,
            declared=declared,
            where=where,
            retention_ms=declared.retention_ms,
            size_ms=declared.size_ms,
            history_ms=declared.history_ms,
        )

    @property
    def versions_ms(self) -> int:
        """How far back its versions go; -1 where it has none."""
        return -1 if self.history_ms is None else self.history_ms

    def spec(self, node: str, engine: Engine) -> StoreSpec:
        """Return the specification, for the nodes that own the store: one and the same for all of them.

        Raises:
            TopologyError: a serde is unknown.
        """
        if self._spec is None:
            self._spec = self._resolved(node, engine)
        return self._spec

    def _resolved(self, node: str, engine: Engine) -> StoreSpec:
        declared = self.declared
        return StoreSpec(
            name=self.name,
            kind=self.kind,
            timestamped=not self.retains_duplicates,
            key=required(self.key, node, self.where),
            value=self._kept_values(node),
            engine=declared.engine or engine,
            caching=declared.caching is not False and self.may_cache and not self.retains_duplicates,
            logging=declared.logging is not False and self.source_topic is None,
            where=self.where,
            changelog_config=dict(declared.logging) if isinstance(declared.logging, Mapping) else {},
            retention_ms=self.retention_ms,
            size_ms=self.size_ms,
            history_ms=self.history_ms,
            ttl_ms=declared.ttl_ms,
            rows_max=declared.rows_max,
            grace_ms=self.grace_ms,
            retain_duplicates=self.retains_duplicates,
            time_ordered=self.time_ordered,
            source_topic=self.source_topic,
        )

    def _kept_values(self, node: str) -> Serde[Any]:
        if self.rows is None:
            return required(self.value, node, self.where)
        return self.rows.showing(None if isinstance(self.value, UnknownSerde) else self.value)
