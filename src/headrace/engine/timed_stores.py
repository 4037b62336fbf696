"""Stores whose calls are timed, at level debug: what an operator is given in place of the store itself."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from headrace.metrics.declaration import Level
from headrace.metrics.meter import Meter

__all__ = ["StoreFigures", "TimedStore"]

#: What operators call, and which of Kafka Streams' operations it is; by another name where rows expire.
_CALLS = {
    "get": "get",
    "get_encoded": "get",
    "get_all_encoded": "get",
    "entry_row": "get",
    "as_of": "get",
    "put": "put",
    "put_encoded": "put",
    "replace": "put",
    "put_all_encoded": "put-all",
    "slots": "fetch",
    "cells": "fetch",
    "find": "fetch",
}
#: What is read row by row, and timed until it is done.
_SCANS = {"range": "range", "prefix": "prefix-scan", "by_time": "fetch", "history": "fetch"}

_SEGMENTED = frozenset({"window", "session"})


class StoreFigures:
    """What is done to one store, written by its task's thread, read by any. Times are ms.

    Attributes:
        operations: by Kafka Streams' names of them.
        iterators: reads of rows one by one, from the first to the last.
        ages: how old records are when they are put, at level trace; goes by the wall clock, in seconds.
        hits: share of look-ups that the record cache answers, of the times between commits.
        held_count, held_bytes: what suppression holds back, at commits.
    """

    __slots__ = (
        "_hits",
        "_looks",
        "ages",
        "held_bytes",
        "held_count",
        "hits",
        "iterators",
        "level",
        "now_ms",
        "operations",
        "seconds",
    )

    def __init__(self, seconds: Callable[[], float], now_ms: Callable[[], int], level: Level) -> None:
        self.seconds = seconds
        self.now_ms = now_ms
        self.level = level
        now = seconds()
        self.operations: dict[str, Meter] = {}
        self.iterators = Meter(now)
        self.ages = Meter(now_ms() / 1000)
        self.hits = Meter(now)
        self.held_count = Meter(now)
        self.held_bytes = Meter(now)
        self._hits = self._looks = 0

    def operation(self, name: str) -> Meter:
        """Return the meter of an operation, the same each time."""
        meter = self.operations.get(name)
        if meter is None:
            meter = self.operations[name] = Meter(self.seconds())
        return meter

    def looked(self, *, hit: bool) -> None:
        """Count a look into the record cache."""
        self._looks += 1
        self._hits += hit

    def flushed(self, now: float) -> None:
        """Take notice of a commit."""
        if self._looks:
            self.hits.record(self._hits / self._looks, now)
            self._hits = self._looks = 0

    def held(self, count: int, size_bytes: int, now: float) -> None:
        """Take notice of what is held back at a commit."""
        self.held_count.record(count, now)
        self.held_bytes.record(size_bytes, now)


class TimedStore:
    """A store like the one that it is given, whose calls are timed; it costs a microsecond a call."""

    def __init__(self, store: Any, figures: StoreFigures) -> None:
        self.__dict__["_store"] = store
        is_segmented = store.spec.kind in _SEGMENTED
        holds = getattr(store, "holds", None)
        for name, operation in (*_CALLS.items(), *_SCANS.items()):
            call = getattr(store, name, None)
            if call is None:
                continue
            meter = figures.operation(
                "fetch" if is_segmented and operation in ("get", "range") else operation
            )
            timed = (
                _timed_scan(call, meter, figures) if name in _SCANS else _timed(call, meter, figures.seconds)
            )
            if name in ("get", "get_encoded") and holds is not None:
                timed = _looking(timed, holds, figures)
            if name == "put" and figures.level >= Level.TRACE:
                timed = _aging(timed, figures)
            self.__dict__[name] = timed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._store, name, value)

    def in_place(self) -> None:
        """Say that no loop reads and writes entries by itself: None."""


def _timed(call: Callable[..., Any], meter: Meter, seconds: Callable[[], float]) -> Callable[..., Any]:
    @wraps(call)
    def timed(*args: Any, **how: Any) -> Any:
        began = seconds()
        try:
            return call(*args, **how)
        finally:
            now = seconds()
            meter.record((now - began) * 1000, now)

    return timed


def _timed_scan(
    call: Callable[..., Any], meter: Meter, figures: StoreFigures
) -> Callable[..., Iterator[Any]]:
    seconds = figures.seconds

    @wraps(call)
    def timed(*args: Any, **how: Any) -> Iterator[Any]:
        began = seconds()
        try:
            yield from call(*args, **how)
        finally:
            now = seconds()
            for each in (meter, figures.iterators):
                each.record((now - began) * 1000, now)

    return timed


def _looking(
    call: Callable[..., Any], holds: Callable[..., bool], figures: StoreFigures
) -> Callable[..., Any]:
    @wraps(call)
    def looking(*args: Any) -> Any:
        figures.looked(hit=holds(*args))
        return call(*args)

    return looking


def _aging(call: Callable[..., Any], figures: StoreFigures) -> Callable[..., Any]:
    @wraps(call)
    def aging(*args: Any) -> Any:
        now_ms = figures.now_ms()
        figures.ages.record(now_ms - args[-2], now_ms / 1000)  # every kind's ends in timestamp and headers
        return call(*args)

    return aging
