"""Pages of a store's rows: where the last one ended, and how the next one goes on from there.

Nothing is kept between two pages: an open iterator would keep the store's folder locked for as long as somebody forgets
to ask for the next page. Each page is of its own moment.
"""

import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import msgspec

from headrace.server.answers import Problem

__all__ = ["Cursor", "Row", "Source", "page"]

#: Where a row is in its partition: rows come in the order of these, or against it. Row and place go together.
Place: TypeAlias = tuple[Any, ...]
Row: TypeAlias = tuple[Place, dict[str, object]]

#: How long one page may take (seconds): then it is cut off where it is.
_PAGE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page has ended: in a partition, at a place, of which `seen` rows were given (seldom more than one)."""

    partition: int
    place: Place
    seen: int

    def encode(self) -> str:
        """Return it as text for a query."""
        packed = msgspec.msgpack.encode((self.partition, self.place, self.seen))
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @staticmethod
    def decode(text: str, kinds: Sequence[type]) -> "Cursor":
        """Read it; `kinds` are the types of a place of this question.

        Raises:
            Problem: it is none, or one of another question.
        """
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            partition, place, seen = msgspec.msgpack.decode(packed, type=tuple[int, tuple[Any, ...], int])
        except (ValueError, msgspec.DecodeError, msgspec.ValidationError, RecursionError):
            raise Problem(400, "cursor is none that was given out here") from None
        if [type(each) for each in place] != list(kinds):
            raise Problem(400, "cursor is one of another question")
        return Cursor(partition, place, seen)


class Source(Protocol):
    """The rows of one partition, in order, from about a place on: rows before it are left out by whoever reads."""

    def __call__(self, partition: int, place: Place | None) -> Iterator[Row]: ...


def page(
    source: Source,
    partitions: Sequence[int],
    cursor: Cursor | None,
    limit: int,
    *,
    reverse: bool,
    of_first: bool = False,
) -> dict[str, object]:
    """Return the next rows, and the cursor behind them, None behind the last one.

    `of_first` has those of one partition alone: the first one that has any, whatever the order of `partitions`. Else
    they are in order.

    Raises:
        Problem: nothing was found within the time that a page may take; or the cursor is of another question.
    """
    deadline = time.monotonic() + _PAGE_SECONDS
    rows: list[dict[str, object]] = []
    if of_first and cursor is not None:
        if cursor.partition not in partitions:
            raise Problem(400, "cursor is one of another question")
        partitions = [cursor.partition]
    for partition in partitions:
        if cursor is not None and partition < cursor.partition:
            continue
        place, seen = None, 0
        if cursor is not None and partition == cursor.partition:
            place, seen = cursor.place, cursor.seen
        last, count, skipped = place, seen, 0
        for at, row in source(partition, place):
            if place is not None:
                if at > place if reverse else at < place:
                    if time.monotonic() > deadline:
                        raise Problem(
                            503, "it takes too long to get there: ask for one key, or for less time"
                        )
                    continue
                if at == place and skipped < seen:
                    skipped += 1
                    continue
            count = count + 1 if at == last else 1
            last = at
            rows.append(row)
            if len(rows) == limit or time.monotonic() > deadline:
                return {"rows": rows, "next": Cursor(partition, at, count).encode()}
        if of_first and rows:
            break
    return {"rows": rows, "next": None}
