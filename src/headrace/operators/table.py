"""What a table's nodes do to an update: a tuple (new value, old value, is the latest), see `topology.wiring`.

Source: `KTableSource`, `KTableFilter`, `KTableMapValues`. Predicates and mappers are never called with a null. Where a
store of versions has a later one, an update is not the latest; what such a store drops goes nowhere.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from headrace.base.callables import truth
from headrace.base.records import Headers
from headrace.operators.updates import forward_flushed, key_serializer
from headrace.topology.processors import ProcessorOperator
from headrace.topology.wiring import MISSING, Change, Forward, Step, Wiring

__all__ = ["TableFilter", "TableMapValues", "TableSource", "TableTransformValues", "ToStream"]


class TableSource:
    """Turns records into updates of a table. A null key is dropped, a null value deletes.

    `store` is set by the builder, before the topology is finished, when something below needs the table's content.
    """

    def __init__(self, store: str | None = None) -> None:
        self.store = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        return self._without_store(wiring) if self.store is None else self._with_store(wiring, self.store)

    def _without_store(self, wiring: Wiring) -> Forward:
        forward, drop = wiring.forward, wiring.drop

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                drop("null key")
                return
            forward(key, (value, None, True), timestamp, headers)

        def updated(key: Any, value: Any) -> Any:
            if key is None:
                drop("null key")
                return MISSING
            return value, None, True

        wiring.take_step(Step.JOIN, updated)
        return run

    def _with_store(self, wiring: Wiring, store: str) -> Forward:
        forward, failed, drop, send_old = wiring.forward, wiring.failed, wiring.drop, self.send_old
        state = wiring.store(store)
        get, put, cached, serialize = state.get, state.put, state.caching, key_serializer(wiring, state)
        forward_flushed(wiring, state, send_old=send_old)
        needs_old = send_old and not cached

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None:
                drop("null key")
                return
            old = None
            try:
                key_bytes = serialize(key)
                if needs_old:
                    row = get(key_bytes)
                    if row is not None:
                        old = row[0]
                # An update that is older than the row replaces it all the same, as in Kafka Streams, unless the store
                # has versions: until when this one is valid is told by those alone.
                until = put(key_bytes, value, timestamp, headers)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if not cached and until != timestamp:
                forward(key, (value, old, until is None), timestamp, headers)

        return run


class TableFilter:
    """Turns values that do not pass into deletions.

    A row that is rejected sends a deletion even if it was never there, unless old values tell so; those of a table of
    versions are of the latest one, and tell nothing of another.
    """

    def __init__(
        self,
        predicate: Callable[[Any, Any], object],
        *,
        negate: bool = False,
        store: str | None = None,
        of_versions: bool = False,
    ) -> None:
        self.predicate = predicate
        self.of_versions = of_versions
        self.negate = negate
        self.store = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        predicate, negate = self.predicate, self.negate

        def keep(key: Any, value: Any) -> Any:
            return value if value is not None and truth(predicate(key, value)) is not negate else None

        skip_nulls = not self.of_versions
        return _compile_update(wiring, keep, self.store, send_old=self.send_old, skip_nulls=skip_nulls)


class TableMapValues:
    """Replaces the values of a table; a deletion stays one."""

    def __init__(self, fn: Callable[..., Any], *, with_key: bool = False, store: str | None = None) -> None:
        self.fn = fn
        self.with_key = with_key
        self.store = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        fn = self.fn

        def mapped(key: Any, value: Any) -> Any:
            return None if value is None else fn(value)

        def mapped_with_key(key: Any, value: Any) -> Any:
            return None if value is None else fn(key, value)

        apply = mapped_with_key if self.with_key else mapped
        return _compile_update(wiring, apply, self.store, send_old=self.send_old, skip_nulls=False)


class TableTransformValues:
    """Replaces the values of a table by those that a processor of the user's gives, for deletions too.

    Source: `KTableTransformValues`. Old values are what it gives for those, unless a store has them.
    """

    def __init__(self, processors: ProcessorOperator, store: str | None = None) -> None:
        self._processors = processors
        self.store = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        transform, task = self._processors.compile_transform(wiring), wiring.context
        update = _compile_update(wiring, transform, self.store, send_old=self.send_old, skip_nulls=False)

        def run(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            before = task.timestamp, task.headers
            task.timestamp, task.headers = timestamp, headers
            try:
                update(key, change, timestamp, headers)
            finally:
                task.timestamp, task.headers = before

        return run


def _compile_update(
    wiring: Wiring, apply: Callable[[Any, Any], Any], store: str | None, *, send_old: bool, skip_nulls: bool
) -> Forward:
    """Make the closure of a node that applies a function to new and old values, and keeps the result if it has a store.

    With `skip_nulls`, nothing is sent if old values are sent and both are null.
    """
    forward, failed = wiring.forward, wiring.failed
    skip_nulls = skip_nulls and send_old
    if store is None:

        def run(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            try:
                new = apply(key, change[0])
                old = apply(key, change[1]) if send_old else None
            except BaseException as error:
                failed(error, key, change[0], timestamp, headers)
                return
            if skip_nulls and new is None and old is None:
                return
            forward(key, (new, old, change[2]), timestamp, headers)

        return run

    state = wiring.store(store)
    get, put, cached, serialize = state.get, state.put, state.caching, key_serializer(wiring, state)
    forward_flushed(wiring, state, send_old=send_old)

    def run_with_store(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
        old = None
        try:
            new = apply(key, change[0])
            key_bytes = serialize(key)
            if send_old:
                row = get(key_bytes)
                if row is not None:
                    old = row[0]
            if skip_nulls and new is None and old is None:
                return
            until = put(key_bytes, new, timestamp, headers)
        except BaseException as error:
            failed(error, key, change[0], timestamp, headers)
            return
        if not cached and until != timestamp:
            forward(key, (new, old, until is None), timestamp, headers)

    return run_with_store


class ToStream:
    """Turns updates into records of their new values."""

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        forward = wiring.forward

        def run(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            forward(key, change[0], timestamp, headers)

        wiring.take_step(Step.VALUE, itemgetter(0))
        return run
