"""One partition of a store as it is read from anywhere: what is here straight, what is elsewhere as pages of bytes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import msgspec

from headrace.query.questions import Answer, Question, Row, answered
from headrace.query.routing import StoreRoute
from headrace.state.buffer.layouts import layout_of
from headrace.state.port import StoreReads
from headrace.state.spec import StoreSpec

__all__ = ["routed_reads"]

_Tuples: TypeAlias = Iterator[tuple[Any, ...]]


class _Routed:
    def __init__(self, route: StoreRoute, spec: StoreSpec, partition: int) -> None:
        self.spec = spec
        self._route = route
        self._partition = partition
        self._to_value: Callable[[bytes], Any] = route.router.codec(spec.name).to_value

    def _one(self, local: Callable[[Any], Any], opened: Callable[[Row], Any], **asked: Any) -> Any:
        found = self._route.read(self._route.question(self._partition, **asked), local)
        if not isinstance(found, Answer):
            return found
        return opened(found.rows[0]) if found.rows else None

    def _many(
        self, local: Callable[[Any], _Tuples], opened: Callable[[Row], tuple[Any, ...]], **asked: Any
    ) -> _Tuples:
        question = self._route.question(self._partition, **asked)
        found = self._route.read(question, local)
        return self._pages(question, found, opened) if isinstance(found, Answer) else found

    def _pages(self, question: Question, answer: Answer, opened: Callable[[Row], tuple[Any, ...]]) -> _Tuples:
        """Yield rows, and ask for the next page behind each, of whoever has the partition then."""
        while True:
            for row in answer.rows:
                yield opened(row)
            if not answer.has_more:
                return
            key, slot = answer.rows[-1][:2]
            question = msgspec.structs.replace(question, after=(key, slot))
            found = self._route.read(question, partial(_page, self._route, question))
            assert isinstance(found, Answer)
            answer = found

    def _valued(self, row: Row) -> tuple[Any, int]:
        return self._to_value(row[2]), row[3]


def _page(route: StoreRoute, question: Question, reads: StoreReads) -> Answer:
    """Answer with what has come here since the page before."""
    return answered(reads, question, route.router.codec(route.store).to_bytes)


class _KeyValues(_Routed):
    def get(self, key: bytes) -> tuple[Any, int] | None:
        found: tuple[Any, int] | None = self._one(
            lambda reads: reads.get(key), self._valued, ask="get", key=key
        )
        return found

    def range(self, start: bytes | None, end: bytes | None, reverse: bool = False) -> _Tuples:
        return self._many(
            lambda reads: reads.range(start, end, reverse),
            self._opened,
            ask="range",
            low=start,
            high=end,
            reverse=reverse,
        )

    def prefix(self, prefix: bytes) -> _Tuples:
        return self._many(lambda reads: reads.prefix(prefix), self._opened, ask="prefix", key=prefix)

    def approximate_count(self) -> int:
        question = self._route.question(self._partition, ask="count")
        found = self._route.read(question, lambda reads: int(reads.approximate_count()))
        return found.count if isinstance(found, Answer) else found

    def _opened(self, row: Row) -> tuple[Any, ...]:
        return row[0], self._to_value(row[2]), row[3]


class _Cells(_Routed):
    def __init__(self, route: StoreRoute, spec: StoreSpec, partition: int) -> None:
        super().__init__(route, spec, partition)
        self._bits = layout_of(spec).rest_bits

    def get(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        found: tuple[Any, int] | None = self._one(
            lambda reads: reads.get(key, slot),
            self._valued,
            ask="cell",
            key=key,
            start=slot >> self._bits,
            end=slot & ((1 << self._bits) - 1),
        )
        return found

    def range(
        self, key: bytes | None, from_ms: int | None, to_ms: int | None, reverse: bool = False
    ) -> _Tuples:
        return self._many(
            lambda reads: reads.range(key, from_ms, to_ms, reverse),
            self._opened,
            ask="cells",
            key=key,
            start=from_ms,
            end=to_ms,
            reverse=reverse,
        )

    def _opened(self, row: Row) -> tuple[Any, ...]:
        time, rest = row[1] or (0, 0)
        return row[0], time << self._bits | rest, self._to_value(row[2]), row[3]


class _Versions(_Routed):
    def get(self, key: bytes) -> tuple[Any, int] | None:
        found: tuple[Any, int] | None = self._one(
            lambda reads: reads.get(key), self._valued, ask="version", key=key
        )
        return found

    def as_of(self, key: bytes, time: int) -> tuple[Any, int, int | None] | None:
        found: tuple[Any, int, int | None] | None = self._one(
            lambda reads: reads.as_of(key, time), self._version, ask="as_of", key=key, start=time
        )
        return found

    def history(self, key: bytes, start: int | None, end: int | None) -> _Tuples:
        return self._many(
            lambda reads: reads.history(key, start, end),
            self._version,
            ask="history",
            key=key,
            start=start,
            end=end,
        )

    def latest(self, start: bytes | None) -> _Tuples:
        return self._many(lambda reads: reads.latest(start), self._keyed, ask="latest")

    def _keyed(self, row: Row) -> tuple[Any, ...]:
        return row[0], self._to_value(row[2]), row[3]

    def _version(self, row: Row) -> tuple[Any, ...]:
        return self._to_value(row[2]), row[3], row[4]


def routed_reads(route: StoreRoute, spec: StoreSpec, partition: int) -> Any:
    """Return what is read of a partition, by the kind of its store: as `state.port` has it."""
    match spec.kind:
        case "window" | "session":
            return _Cells(route, spec, partition)
        case "versioned":
            return _Versions(route, spec, partition)
        case _:
            return _KeyValues(route, spec, partition)
