"""How a join looks a table up: in its store, or in the store of a table above it and through what lies between.

Source: `KTableValueGetterSupplier` and its kinds.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from headrace.base.callables import truth
from headrace.operators.updates import key_serializer
from headrace.serde.serde import CodecSerde, Serde
from headrace.state.buffer.session_layout import session_slot
from headrace.state.spec import StoreSpec
from headrace.topology.processors import ProcessorOperator
from headrace.topology.wiring import Wiring

__all__ = [
    "FilterGetter",
    "Get",
    "GetAllEncoded",
    "GetAsOf",
    "GetEncoded",
    "Getter",
    "MapGetter",
    "SessionStoreGetter",
    "StoreGetter",
    "TransformGetter",
    "WindowStoreGetter",
    "compile_all_encoded",
    "compile_encoded",
]

#: Value and timestamp of a key, or None.
Get: TypeAlias = Callable[[Any], tuple[Any, int] | None]

#: The same of the version that was valid at a time (epoch ms).
GetAsOf: TypeAlias = Callable[[Any, int], tuple[Any, int] | None]

#: Bytes of a value, and timestamp, of a key's bytes, or None.
GetEncoded: TypeAlias = Callable[[bytes], tuple[bytes, int] | None]

#: The same of many keys.
GetAllEncoded: TypeAlias = Callable[[Sequence[bytes]], Sequence[tuple[bytes, int] | None]]


class Getter(Protocol):
    """Looks up the value of a table. `stores` are to be connected to the node that does."""

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the stores that are read."""

    def compile(self, wiring: Wiring) -> Get:
        """Make the closure. What it raises is for the caller's handler."""

    def compile_as_of(self, wiring: Wiring) -> GetAsOf | None:
        """Make the closure that looks back in time; None where nothing has versions."""


class StoreGetter:
    """Reads a key-value store, or a versioned one."""

    def __init__(self, store: str) -> None:
        self.stores = (store,)

    def compile(self, wiring: Wiring) -> Get:
        """Make the closure."""
        state = wiring.store(self.stores[0])
        get, serialize = state.get, key_serializer(wiring, state)

        def look_up(key: Any) -> tuple[Any, int] | None:
            row: tuple[Any, int] | None = get(serialize(key))
            return row

        return look_up

    def compile_as_of(self, wiring: Wiring) -> GetAsOf | None:
        """Make the closure that looks back in time; None where nothing has versions."""
        state = wiring.store(self.stores[0])
        if state.spec.kind != "versioned":
            return None
        as_of, serialize = state.as_of, key_serializer(wiring, state)

        def look_up(key: Any, time: int) -> tuple[Any, int] | None:
            found = as_of(serialize(key), time)
            return None if found is None else (found[0], found[1])

        return look_up


class WindowStoreGetter:
    """Reads a window store by windowed keys."""

    def __init__(self, store: str) -> None:
        self.stores = (store,)

    def compile(self, wiring: Wiring) -> Get:
        """Make the closure."""
        state = wiring.store(self.stores[0])
        get, serialize = state.get, key_serializer(wiring, state)

        def look_up(key: Any) -> tuple[Any, int] | None:
            row: tuple[Any, int] | None = get(serialize(key.key), key.window.start)
            return row

        return look_up

    def compile_as_of(self, wiring: Wiring) -> GetAsOf | None:
        """Nothing has versions: None."""
        return None


class SessionStoreGetter:
    """Reads a session store by windowed keys; a session's time is its end."""

    def __init__(self, store: str) -> None:
        self.stores = (store,)

    def compile(self, wiring: Wiring) -> Get:
        """Make the closure."""
        state = wiring.store(self.stores[0])
        get, serialize = state.get, key_serializer(wiring, state)

        def look_up(key: Any) -> tuple[Any, int] | None:
            start, end = key.window
            row = get(serialize(key.key), session_slot(start, end))
            return None if row is None else (row[0], end)

        return look_up

    def compile_as_of(self, wiring: Wiring) -> GetAsOf | None:
        """Nothing has versions: None."""
        return None


class FilterGetter:
    """Looks up above a filter without a store, and filters again."""

    def __init__(self, parent: Getter, predicate: Callable[[Any, Any], object], *, negate: bool) -> None:
        self._parent = parent
        self._predicate = predicate
        self._negate = negate

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the stores that are read."""
        return self._parent.stores

    def compile(self, wiring: Wiring) -> Get:
        """Make the closure."""
        above, view = self._parent.compile(wiring), self._view
        return lambda key: view(key, above(key))

    def compile_as_of(self, wiring: Wiring) -> GetAsOf | None:
        """Make the closure that looks back in time; None where nothing has versions."""
        above, view = self._parent.compile_as_of(wiring), self._view
        return None if above is None else lambda key, time: view(key, above(key, time))

    def _view(self, key: Any, row: tuple[Any, int] | None) -> tuple[Any, int] | None:
        return row if row is not None and truth(self._predicate(key, row[0])) is not self._negate else None


class MapGetter:
    """Looks up above a mapping without a store, and maps again."""

    def __init__(self, parent: Getter, fn: Callable[..., Any], *, with_key: bool) -> None:
        self._parent = parent
        self._fn = fn
        self._with_key = with_key

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the stores that are read."""
        return self._parent.stores

    def compile(self, wiring: Wiring) -> Get:
        """Make the closure."""
        above, view = self._parent.compile(wiring), self._view
        return lambda key: view(key, above(key))

    def compile_as_of(self, wiring: Wiring) -> GetAsOf | None:
        """Make the closure that looks back in time; None where nothing has versions."""
        above, view = self._parent.compile_as_of(wiring), self._view
        return None if above is None else lambda key, time: view(key, above(key, time))

    def _view(self, key: Any, row: tuple[Any, int] | None) -> tuple[Any, int] | None:
        if row is None:
            return None
        value = self._fn(key, row[0]) if self._with_key else self._fn(row[0])
        return None if value is None else (value, row[1])


class TransformGetter:
    """Looks up above a transformation without a store, and transforms again, with a processor of its own.

    That is asked for keys without a row as well, and may have a value for them, as in Kafka Streams. It sees the time
    of the row, and no record. `uses` are the stores of the processor, to which Kafka Streams gives it no access here.
    """

    def __init__(self, parent: Getter, processors: ProcessorOperator, uses: tuple[str, ...]) -> None:
        self._parent = parent
        self._processors = processors
        self._uses = uses

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the stores that are read."""
        return (*self._parent.stores, *self._uses)

    def compile(self, wiring: Wiring) -> Get:
        """Make the closure."""
        above, view = self._parent.compile(wiring), self._view(wiring)
        return lambda key: view(key, above(key))

    def compile_as_of(self, wiring: Wiring) -> GetAsOf | None:
        """Make the closure that looks back in time; None where nothing has versions."""
        above = self._parent.compile_as_of(wiring)
        if above is None:
            return None
        view = self._view(wiring)
        return lambda key, time: view(key, above(key, time))

    def _view(self, wiring: Wiring) -> Callable[[Any, tuple[Any, int] | None], tuple[Any, int] | None]:
        transform, task = self._processors.compile_transform(wiring), wiring.context

        def transformed(key: Any, row: tuple[Any, int] | None) -> tuple[Any, int] | None:
            value, timestamp = row or (None, -1)
            before = task.leave_record(timestamp)
            try:
                value = transform(key, value)
            finally:
                task.return_to(before)
            return None if value is None else (value, timestamp)

        return transformed


def compile_encoded(
    getter: Getter, wiring: Wiring, key: Serde[Any], value: Serde[Any], topic: str
) -> GetEncoded:
    """Make what looks up by a key's bytes, and gives a value's; a store that has both decodes neither.

    `key` and `value` are the table's serdes, `topic` what they are told. The bytes are those that `value` makes, so
    that their hash says whether the value is the same: a store that is restored from others' topic may have theirs.
    """
    state = _encoded_alike(getter, wiring, key, value)
    if state is not None:
        get_encoded: GetEncoded = state.get_encoded
        return get_encoded
    get, to_key, to_bytes = getter.compile(wiring), key.deserializer(topic), value.serializer(topic)

    def look_up(data: bytes) -> tuple[bytes, int] | None:
        row = get(to_key(data))
        return None if row is None else (to_bytes(row[0]), row[1])

    return look_up


def compile_all_encoded(
    getter: Getter, wiring: Wiring, key: Serde[Any], value: Serde[Any]
) -> GetAllEncoded | None:
    """Make what looks many keys up as `compile_encoded` does one; None where more than a store is asked."""
    state = _encoded_alike(getter, wiring, key, value)
    get_all: GetAllEncoded | None = None if state is None else state.get_all_encoded
    return get_all


def _encoded_alike(getter: Getter, wiring: Wiring, key: Serde[Any], value: Serde[Any]) -> Any:
    """Return the store that a getter reads, if its bytes are those that the serdes make; else None."""
    if not isinstance(getter, StoreGetter):
        return None
    state = wiring.store(getter.stores[0])
    spec: StoreSpec = state.spec
    # Told no topic, unlike a user's own.
    are_plain = isinstance(key, CodecSerde) and isinstance(value, CodecSerde)
    return (
        state if are_plain and (spec.key, spec.value) == (key, value) and spec.source_topic is None else None
    )
