"""Views over a store wherever its partitions are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.base.errors import StoreUnavailableError
from headrace.query.local import view_of
from headrace.query.routed import routed_reads
from headrace.query.routing import StoreRoute
from headrace.state.spec import StoreSpec
from headrace.state.typed_stores import read_only

__all__ = ["view_anywhere"]


def view_anywhere(route: StoreRoute, spec: StoreSpec, chosen: Sequence[int] | None) -> Any:
    """Make the view of a store's kind, over all of its partitions or those that are chosen."""
    partitions = _Partitions(route, spec, chosen)
    return view_of(spec, partitions.all, partitions.candidates)


class _Partitions:
    """Typed stores by partition, made when they are first asked for. From any thread."""

    def __init__(self, route: StoreRoute, spec: StoreSpec, chosen: Sequence[int] | None) -> None:
        self._route = route
        self._spec = spec
        self._chosen = chosen
        self._made: dict[int, Any] = {}

    def _typed(self, partition: int) -> Any:
        found = self._made.get(partition)
        if found is None:
            reads = routed_reads(self._route, self._spec, partition)
            found = self._made[partition] = read_only(reads, self._route.router.application_id)
        return found

    def _numbers(self) -> Sequence[int]:
        there = self._route.places().partitions
        if self._chosen is None:
            return there
        missing = sorted(set(self._chosen) - set(there))
        if missing:
            raise StoreUnavailableError(f"store {self._spec.name!r} has no partition {missing[0]}")
        return self._chosen

    def all(self) -> Mapping[int, Any]:
        """Return all."""
        return {number: self._typed(number) for number in self._numbers()}

    def candidates(self, key: Any) -> Iterator[Any]:
        """Yield those in which a key may lie: the one where the topology places it first."""
        chosen = None if self._chosen is None else self._numbers()
        for number in self._route.places().of_key(key):
            if chosen is None or number in chosen:
                yield self._typed(number)
