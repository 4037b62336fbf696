"""The processors that a case may name: the twins of `P` and `FP` in `oracle/Oracle.java`."""

import json
from collections.abc import Callable
from typing import Any

import headrace as hr
from headrace.stores import KeyValueStore, ReadOnlyKeyValueStore, Stamped, Store
from tests.conformance.functions import argument, mapped, name, text

__all__ = ["filling", "fixed_key_processor", "looking_up", "processor", "transforming"]

TextStore = Store[KeyValueStore[str, Any]]


def processor(function: str, store: TextStore) -> Callable[[], hr.Processor[str, Any, str, Any]]:
    """Return the supplier of a processor over a store that is connected to it."""
    return lambda: _Stamping(store) if function == "stamped" else _Processor(function, store)


def fixed_key_processor(store: TextStore) -> Callable[[], hr.FixedKeyProcessor[Any, Any, str]]:
    """Return the supplier of the processor that puts the key's previous value before each value."""
    return lambda: _Previous(store)


def filling(function: str, store: TextStore) -> Callable[[], hr.Processor[str, Any, Any, Any]]:
    """Return the supplier of what fills a global store with mapped values."""
    return lambda: _Filling(function, store)


def looking_up(store: str) -> Callable[[], hr.Processor[Any, Any, Any, str]]:
    """Return the supplier of what puts behind each value what a global store has of it."""
    return lambda: _LookingUp(store)


def transforming(function: str, store: TextStore | None) -> Callable[[], hr.FixedKeyProcessor[Any, Any, Any]]:
    """Return the supplier of what replaces a table's values, deletions included."""
    return lambda: _Transforming(function, store)


class _Processor(hr.Processor[str, Any, str, Any]):
    def __init__(self, function: str, store: TextStore) -> None:
        self._function = function
        self._declared = store

    def init(self) -> None:
        self._store = self.context.store(self._declared)
        interval = f"{argument(self._function)}ms"
        match name(self._function):
            case "flush_every_stream_ms":
                self.context.schedule(interval, self._flush, on="stream")
            case "flush_every_wall_ms":
                self.context.schedule(interval, self._flush, on="wall")
            case "tick_stream_ms":
                self.context.schedule(interval, self._tick, on="stream")
            case "tick_wall_ms":
                self.context.schedule(interval, self._tick, on="wall")

    def _tick(self, now: int) -> None:
        self.context.forward(hr.Record("tick", f"{now}/{self.context.stream_time}", now))

    def _flush(self, now: int) -> None:
        for key, value in list(self._store.all()):
            self.context.forward(hr.Record(key, value, now))
            self._store.delete(key)

    def process(self, record: hr.Record[str, Any]) -> None:
        match name(self._function):
            case "dedupe":
                if (
                    record.key is not None
                    and self._store.put_if_absent(record.key, text(record.value)) is None
                ):
                    self.context.forward(record)
            case "changes":
                self._forward_change(record)
            case "header":
                seen = ("seen", text(record.value).encode())
                self.context.forward(record.with_headers([*record.headers, seen]))
            case "tick_stream_ms" | "tick_wall_ms":
                self.context.forward(record)
            case "stream_time":
                value = f"{text(record.value)}@{self.context.stream_time}"
                self.context.forward(record.with_value(value))
            case "place":
                self.context.forward(record.with_value(self._place()))
            case "twice":
                later = record.with_timestamp(record.timestamp + 5).with_headers([])
                self.context.forward(later)
                self.context.forward(record)
            case _:
                if record.key is not None and record.value is not None:
                    self._store.put(record.key, record.value)

    def _place(self) -> str:
        """Return where the record is from; Java writes this of what a punctuator has forwarded."""
        metadata = self.context.metadata
        return (
            "null/-1/-1" if metadata is None else f"{metadata.topic}/{metadata.partition}/{metadata.offset}"
        )

    def _forward_change(self, record: hr.Record[str, Any]) -> None:
        """Forward only what differs from the key's last value."""
        if record.key is None or self._store.get(record.key) == record.value:
            return
        if record.value is None:
            self._store.delete(record.key)
        else:
            self._store.put(record.key, record.value)
        self.context.forward(record)


class _Stamping(hr.Processor[str, Any, str, Any]):
    """Keeps the last record of each key, or of each second of a key, and forwards what it had of it before."""

    def __init__(self, store: Store[Any]) -> None:
        self._declared = store

    def init(self) -> None:
        self._store = self.context.store(self._declared)

    def process(self, record: hr.Record[str, Any]) -> None:
        key: str | None = record.key
        value, start = record.value, record.timestamp - record.timestamp % 1000
        if key is None:
            return
        headers = (*record.headers, ("by", None))
        if self._declared.kind == "session":
            session = hr.Windowed(key, hr.Window(start, start + 500))
            found = self._store.get(session)
            stamped = None if value is None else Stamped(value, record.timestamp, headers)
            self._store.put(session, stamped)
            old = None if found is None else {"value": found.value, "headers": _plain(found)}
        else:
            stamped = None if value is None else Stamped(value, record.timestamp + 3, headers)
            if self._declared.kind == "window":
                found = self._store.get(key, start)
                self._store.put(key, stamped, start)
            else:
                found = self._store.get(key)
                self._store.put(key, stamped)
            old = (
                None
                if found is None
                else {"value": found.value, "ts": found.timestamp, "headers": _plain(found)}
            )
        shown = json.dumps(old, separators=(",", ":"), ensure_ascii=False)
        self.context.forward(record.with_value(f"{shown}>{text(value)}"))


def _plain(stamped: Stamped[Any]) -> list[list[str | None]]:
    return [[name, None if content is None else content.decode()] for name, content in stamped.headers]


class _Previous(hr.FixedKeyProcessor[Any, Any, str]):
    def __init__(self, store: TextStore) -> None:
        self._declared = store

    def init(self) -> None:
        self._store = self.context.store(self._declared)

    def process(self, record: hr.Record[Any, Any]) -> list[str]:
        if record.key is None:
            return []
        old = self._store.get(record.key)
        self._store.put(record.key, text(record.value))
        return [f"{text(old)}>{text(record.value)}"]


class _Filling(hr.Processor[str, Any, Any, Any]):
    def __init__(self, function: str, store: TextStore) -> None:
        self._function = function
        self._declared = store

    def init(self) -> None:
        self._store = self.context.store(self._declared)

    def process(self, record: hr.Record[str, Any]) -> None:
        if record.key is not None:
            self._store.put(record.key, mapped(self._function, record.key, record.value))


class _LookingUp(hr.Processor[Any, Any, Any, str]):
    def __init__(self, store: str) -> None:
        self._name = store

    def init(self) -> None:
        self._store: ReadOnlyKeyValueStore[Any, Any] = self.context.store(self._name)

    def process(self, record: hr.Record[Any, Any]) -> list[hr.Record[Any, str]]:
        found = None if record.value is None else self._store.get(record.value)
        return [record.with_value(f"{text(record.value)}={text(found)}")]


class _Transforming(hr.FixedKeyProcessor[Any, Any, Any]):
    def __init__(self, function: str, store: TextStore | None) -> None:
        self._function = function
        self._declared = store

    def init(self) -> None:
        if self._declared is not None:
            self._store = self.context.store(self._declared)

    def process(self, record: hr.Record[Any, Any]) -> list[Any]:
        key, value = record.key, record.value
        match name(self._function):
            case "stamp":
                return [None if value is None else f"{text(value)}@{record.timestamp}"]
            case "previous":
                old = self._store.get(key)
                self._store.put(key, text(value))
                return [f"{text(old)}>{text(value)}"]
        return [mapped(self._function, key, value)]
