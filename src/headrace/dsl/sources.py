"""What all ways to read a topic have in common: streams, tables, and what fills global stores."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.naming import Names
from headrace.dsl.serdes import given
from headrace.serde.primitives import raw, string
from headrace.serde.serde import Serde
from headrace.topology.topics import Topic

__all__ = ["check_reset", "handles_of", "kept", "table_nodes"]

_RESETS = frozenset({"earliest", "latest", "none"})


def check_reset(reset: object, where: Location) -> None:
    """Refuse what is no reset policy: the start would fail, or begin somewhere else than was meant."""
    if reset is None or (isinstance(reset, str) and reset in _RESETS):
        return
    if isinstance(reset, timedelta) and reset >= timedelta(0):
        return
    raise TopologyError(
        f"{where}: offset_reset={reset!r} does not exist: write 'earliest', 'latest', 'none', or how far back to "
        "begin, as a timedelta of 0 or more"
    )


def handles_of(topic: object, key: object, value: object, where: Location) -> list[Topic[Any, Any]]:
    """Return handles for what a source names."""
    topics = (
        [topic] if isinstance(topic, str | Topic) else list(topic) if isinstance(topic, Sequence) else None
    )
    if not topics:
        raise TopologyError(f"{where}: expected a topic, several, or a Pattern, found {topic!r}")
    key_serde: Serde[Any] = given(key, "key", where) or string
    value_serde: Serde[Any] = given(value, "value", where) or raw
    handles = []
    for each in topics:
        if isinstance(each, Topic):
            if key is not None or value is not None:
                raise TopologyError(f"{where}: {each!r} has serdes already: leave key= and value= out")
            handles.append(each)
        elif isinstance(each, str):
            handles.append(Topic(each, key=key_serde, value=value_serde))
        else:
            raise TopologyError(f"{where}: expected the name of a topic, or a Topic, found {each!r}")
    first = handles[0]
    for other in handles[1:]:
        if (other.key, other.value) != (first.key, first.value):
            raise TopologyError(
                f"{where}: {first!r} and {other!r} have different serdes; read each on its own and merge() the streams"
            )
    return handles


def kept(
    topic: object, key: object, value: object, store: AnyStore, names: Names, where: Location
) -> tuple[Topic[Any, Any], Materialized]:
    """Return the handle of a topic that is read as a table, and the store that may keep its rows.

    Raises:
        TopologyError: it is no topic, `key=` or `value=` are beside a `Topic`, or the store is of another kind or type.
    """
    declared = declared_store(store, "key_value", where)
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
