"""Stores of processors: what their declaration leaves open is decided here."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.state.declaration import Store, check_handle
from headrace.state.spec import Engine, StoreKind, StoreSpec

__all__ = ["checked_engine", "global_store", "names_global", "plain_store"]

#: What the DSL knows from windows, and a processor's store has to say.
_DURATIONS: Mapping[StoreKind, tuple[str, ...]] = {
    "key_value": (),
    "window": ("size", "retention"),
    "session": ("retention",),
    "suppress": (),
    "versioned": (),
    "custom": (),
}


def checked_engine(engine: Engine) -> Engine:
    """Return where stores live that do not say it.

    Raises:
        TopologyError: there is no such place.
    """
    if engine not in {"rocksdb", "memory"}:
        raise TopologyError(f"engine={engine!r}: 'rocksdb' or 'memory' is wanted")
    return engine


def plain_store(store: Store[Any], where: Location, engine: Engine) -> StoreSpec:
    """Return the specification of a processor's store: without timestamps, not cached unless asked for.

    Raises:
        TopologyError: a name, a serde, or its size or retention is missing.
    """
    if not isinstance(store, Store):
        raise TopologyError(
            f"{where}: expected a declared store such as stores.key_value(...), found {store!r}"
        )
    if store.name is None:
        raise TopologyError(
            f"{where}: a store of a processor needs a name, as in stores.key_value('seen', ...)"
        )
    for part, serde in (("key", store.key), ("value", store.value)):
        if serde is None:
            raise TopologyError(
                f"{where}: store '{store.name}' of a processor needs the serde of its {part}: write {part}=str, or "
                "another class or serde, where it is declared"
            )
    assert store.key is not None
    assert store.value is not None
    for part, duration in (("size", store.size_ms), ("retention", store.retention_ms)):
        if duration is None and part in _DURATIONS[store.kind]:
            raise TopologyError(
                f"{where}: {store.kind} store '{store.name}' of a processor needs {part}=, as in {part}='5m'"
            )
    return StoreSpec(
        name=store.name,
        kind=store.kind,
        timestamped=False,
        key=store.key,
        value=store.value,
        engine=store.engine or engine,
        make=store.make,
        persistent=store.persistent,
        caching=bool(store.caching),
        logging=store.logging is not False,
        where=where,
        changelog_config=dict(store.logging) if isinstance(store.logging, Mapping) else {},
        retention_ms=store.retention_ms,
        size_ms=store.size_ms,
        history_ms=store.history_ms,
        ttl_ms=store.ttl_ms,
        rows_max=store.rows_max,
        logged_headers="deletions" if store.headers else "none",
        stamped=store.headers,
    )


def global_store(spec: StoreSpec, topic: str) -> StoreSpec:
    """Return the specification of a store that is filled from all of a topic, in every instance.

    The topic is its changelog, and nothing is forwarded from it that a cache could hold back.

    Raises:
        TopologyError: its rows are to expire, or it is one of the user's own, which the processors of one task have for
            themselves.
    """
    if spec.ttl_ms is not None:
        raise TopologyError(
            f"{spec.where}: global store '{spec.name}' has what its topic has, of which nothing expires: leave ttl= "
            "out, and write deletions to the topic"
        )
    if spec.kind == "custom":
        raise TopologyError(
            f"{spec.where}: store '{spec.name}' is one of your own, and cannot be read by all tasks: let the processor "
            "of a global store fill a stores.key_value(...)"
        )
    return replace(spec, global_topic=topic, logging=False, changelog_config={}, caching=False)


def names_global(store: Store[Any] | str, known: Mapping[str, StoreSpec]) -> bool:
    """Say whether a processor names one of these global stores, which it reads without being connected to it.

    Raises:
        TopologyError: one has the name, and is of another kind or type.
    """
    name = store if isinstance(store, str) else store.name
    if name is None or name not in known:
        return False
    if isinstance(store, Store):
        check_handle(store, known[name])
    return True
