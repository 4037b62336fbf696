"""Aggregations of a grouped stream without windows. Source: `KStreamAggregate`, `KStreamReduce`.

Null keys and null values are dropped. A late record counts like any other; a result's time is the highest one that went
into it, but the changelog stamps a deletion with the record's own. An update carries the headers of the record that
caused it. Where old values are asked for, the initialiser's result is a new key's old value, a quirk that tables below
rely on.
"""

from collections.abc import Callable
from typing import Any

from headrace.base.records import Headers
from headrace.operators.deletions import Deletions
from headrace.operators.first_aggregates import first_aggregates
from headrace.operators.updates import forward_flushed, key_serializer
from headrace.topology.wiring import Forward, Wiring

__all__ = ["Aggregate", "Count", "Reduce"]

_NULL = "null key or value"


class Aggregate:
    """Folds records into one value for each key. A result of None deletes the key."""

    def __init__(
        self, init: Callable[[], Any], fn: Callable[[Any, Any, Any], Any], store: str, deletions: Deletions
    ) -> None:
        self._init = init
        self._fn = fn
        self._deletions = deletions
        self._name = store
        self.store: str | None = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        init = first_aggregates(self._init)
        fn, send_old, deletions = self._fn, self.send_old, self._deletions
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop
        state = wiring.store(self._name)
        get, put, cached, serialize = state.get, state.put, state.caching, key_serializer(wiring, state)
        if cached:
            forward_flushed(wiring, state, send_old=send_old)

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None or value is None:
                drop(_NULL)
                return
            try:
                key_bytes = serialize(key)
                row = get(key_bytes)
                latest = timestamp
                if row is None:
                    old = init()
                else:
                    old, stored = row
                    latest = max(latest, stored)
                new = fn(key, value, old)
                if new is None:
                    deletions.seen(wiring, old)
                    put(key_bytes, None, timestamp, headers)
                else:
                    put(key_bytes, new, latest, headers)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if not cached:
                forward(key, (new, old if send_old else None, True), latest, headers)

        return run


class Reduce:
    """Folds values of one type: a key's first value is its first result."""

    def __init__(self, fn: Callable[[Any, Any], Any], store: str, deletions: Deletions) -> None:
        self._fn = fn
        self._deletions = deletions
        self._name = store
        self.store: str | None = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        fn, send_old, deletions = self._fn, self.send_old, self._deletions
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop
        state = wiring.store(self._name)
        get, put, cached, serialize = state.get, state.put, state.caching, key_serializer(wiring, state)
        if cached:
            forward_flushed(wiring, state, send_old=send_old)

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None or value is None:
                drop(_NULL)
                return
            try:
                key_bytes = serialize(key)
                row = get(key_bytes)
                latest = timestamp
                if row is None:
                    old, new = None, value
                else:
                    old, stored = row
                    new = fn(old, value)
                    latest = max(latest, stored)
                if new is None:
                    deletions.seen(wiring, old)
                    put(key_bytes, None, timestamp, headers)
                else:
                    put(key_bytes, new, latest, headers)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if not cached:
                forward(key, (new, old if send_old else None, True), latest, headers)

        return run


class Count:
    """Counts records for each key: `Aggregate` without a call of user code."""

    def __init__(self, store: str) -> None:
        self._name = store
        self.store: str | None = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        send_old = self.send_old
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop
        state = wiring.store(self._name)
        get, put, cached, serialize = state.get, state.put, state.caching, key_serializer(wiring, state)
        if cached:
            forward_flushed(wiring, state, send_old=send_old)

        def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is None or value is None:
                drop(_NULL)
                return
            try:
                key_bytes = serialize(key)
                row = get(key_bytes)
                latest = timestamp
                if row is None:
                    old = 0
                else:
                    old, stored = row
                    latest = max(latest, stored)
                put(key_bytes, old + 1, latest, headers)
            except BaseException as error:
                failed(error, key, value, timestamp, headers)
                return
            if not cached:
                forward(key, (old + 1, old if send_old else None, True), latest, headers)

        columns = state.column_counter(serialize, run)
        if columns is not None:
            wiring.take_stretches(columns)
        counter: Forward = state.counter(serialize, run)
        return counter
