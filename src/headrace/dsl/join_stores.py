"""The stores of a join of streams: one for each side, and one for what has no match. Source: `StreamJoined`."""

from collections.abc import Mapping
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.naming import Names
from headrace.dsl.serdes import Typed, required
from headrace.operators.stream_stream_join import JoinSpan
from headrace.serde.unmatched import UnmatchedKeySerde, UnmatchedValuesSerde
from headrace.state.declaration import Store
from headrace.state.spec import Engine, StoreSpec
from headrace.topology.names import check_name

__all__ = ["JoinStores", "given_stores", "unmatched_spec", "window_store"]


class JoinStores:
    """Names the stores of a join of streams, or gives them: `store=` of a join.

    `name` is what the names of stores begin with that are not given. `this` and `other` are window stores for the
    records of this stream and of the other one; a size or a retention that they are declared with must be the one of
    the join's windows. `logging` says whether the stores that are not given have changelogs; a mapping holds topic
    properties for these.
    """

    __slots__ = ("logging", "name", "other", "this")

    def __init__(
        self,
        name: str | None = None,
        *,
        this: Store[Any] | None = None,
        other: Store[Any] | None = None,
        logging: bool | Mapping[str, str] = True,
    ) -> None:
        self.name = name
        self.this = this
        self.other = other
        self.logging = logging

    def declared(self, generated: str, suffix: str, names: Names) -> Store[Any]:
        """Return the window store of a side for which none is given."""
        return Store(self._named(generated, suffix, names), "window", logging=self.logging)

    def unmatched_name(self, generated: str, suffix: str, names: Names) -> str:
        """Return the name of the store of what has no match. Source: `OuterStreamJoinStoreFactory`."""
        if self.this is not None:
            return f"{self.this.name}{suffix}-store"
        return self._named(generated, suffix, names)

    def _named(self, generated: str, suffix: str, names: Names) -> str:
        if self.name is not None:
            return f"{self.name}{suffix}-store"
        name = f"{generated}-store"
        names.generated_stores.append(name)
        return name

    def __repr__(self) -> str:
        return (
            f"JoinStores({self.name!r}, this={self.this!r}, other={self.other!r}, logging={self.logging!r})"
        )


def given_stores(store: object, where: Location) -> JoinStores:
    """Return what `store=` of a join means: a name, stores, or nothing.

    Raises:
        TopologyError: it is something else, such as a single store, or names are wrong.
    """
    if store is None:
        return JoinStores()
    if isinstance(store, str):
        return JoinStores(check_name(store, "store", where))
    if not isinstance(store, JoinStores):
        raise TopologyError(
            f"{where}: a join of streams has a store for each side: store= takes a name that theirs begin with, or "
            f"hr.JoinStores(name, this=…, other=…), found {store!r}"
        )
    if store.name is not None:
        check_name(store.name, "store", where)
    for side, each in (("this", store.this), ("other", store.other)):
        declared = declared_store(each, "window", where)
        if declared is not None and declared.name is None:
            raise TopologyError(f"{where}: {side}={each!r} of hr.JoinStores needs a name")
        if declared is not None and declared.caching:
            raise TopologyError(
                f"{where}: store '{declared.name}' keeps each record of a join, so there is nothing to cache: leave "
                "caching=True out"
            )
    if store.this is not None and store.other is not None and store.this.name == store.other.name:
        raise TopologyError(
            f"{where}: both sides of a join need a store of their own, found two named '{store.this.name}'"
        )
    return store


def window_store(
    declared: Store[Any], *, key: Typed, value: Typed, span: JoinSpan, names: Names, where: Location
) -> Materialized:
    """Make the store of one side's records.

    Raises:
        TopologyError: a size, a retention or a serde that it is declared with does not fit.
    """
    for part, declared_ms, needed_ms in (
        ("size", declared.size_ms, span.size_ms),
        ("retention", declared.retention_ms, span.retention_ms),
    ):
        if declared_ms is not None and declared_ms != needed_ms:
            raise TopologyError(
                f"{where}: the join's windows need a {part} of {needed_ms} ms, but store '{declared.name}' is declared "
                f"with {declared_ms} ms: leave {part}= out there"
            )
    made = Materialized.of(declared, kind="window", names=names, prefix="", key=key, value=value, where=where)
    made.size_ms, made.grace_ms, made.retention_ms = span.size_ms, span.grace_ms, span.retention_ms
    made.retains_duplicates = True
    return made


def unmatched_spec(
    name: str, stores: JoinStores, this: Materialized, other: Materialized, *, node: str, engine: Engine
) -> StoreSpec:
    """Return the store of records without a match. It lives where this side's store lives.

    Raises:
        TopologyError: a serde is unknown.
    """
    where, logging = this.where, stores.logging
    return StoreSpec(
        name=name,
        kind="key_value",
        timestamped=False,
        key=UnmatchedKeySerde(required(this.key, node, where)),
        value=UnmatchedValuesSerde(required(this.value, node, where), required(other.value, node, where)),
        engine=this.declared.engine or engine,
        caching=False,
        logging=logging is not False,
        where=where,
        changelog_config=dict(logging) if isinstance(logging, Mapping) else {},
    )
