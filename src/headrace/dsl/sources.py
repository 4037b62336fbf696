"""What tables and global stores have in common where they are read from a topic."""

from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.naming import Names
from headrace.topology.sources import handles_of
from headrace.topology.topics import Topic

__all__ = ["kept", "table_nodes"]


def kept(
    topic: object,
    key: object,
    value: object,
    store: AnyStore,
    names: Names,
    where: Location,
    *,
    versions: bool = False,
) -> tuple[Topic[Any, Any], Materialized]:
    """Return the handle of a topic that is read as a table, and the store that may keep its rows, or their versions.

    Raises:
        TopologyError: it is no topic, `key=` or `value=` are beside a `Topic`, or the store is of another kind or type.
    """
    declared = declared_store(store, "key_value", where, versions=versions)
    if not isinstance(topic, str | Topic):
        raise TopologyError(f"{where}: a table is read from one topic, found {topic!r}")
    if isinstance(topic, str) and declared is not None:
        key, value = key or declared.key, value or declared.value
    (handle,) = handles_of(topic, key, value, where)
    materialized = Materialized.of(
        declared,
        names=names,
        prefix=f"{handle.name}-",
        key=handle.key,
        value=handle.value,
        where=where,
    )
    if declared is not None and (materialized.key, materialized.value) != (handle.key, handle.value):
        raise TopologyError(
            f"{where}: topic '{handle.name}' has {handle.key!r} and {handle.value!r}, store '{materialized.name}' "
            f"has {materialized.key!r} and {materialized.value!r}: a table is kept as it is read"
        )
    return handle, materialized


def table_nodes(names: Names, name: str | None, where: Location) -> tuple[str, str]:
    """Return the names of a table's source and of the processor behind it."""
    return names.suffixed(name, "-source", "KSTREAM-SOURCE-", where), names.node(
        name, "KTABLE-SOURCE-", where
    )
