"""One ordered view of a database's rows and of what lies over them."""

from collections.abc import Iterator, Sequence

from typing_extensions import TypeVar

__all__ = ["after", "after_prefix", "merge"]

R = TypeVar("R")


def after(key: bytes) -> bytes:
    """Smallest key behind `key`: turns Kafka's inclusive bound into an exclusive one."""
    return key + b"\x00"


def after_prefix(prefix: bytes) -> bytes | None:
    """Smallest key behind all that begin with `prefix`; None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def merge(
    overlay: Sequence[tuple[bytes, R | None]], rows: Iterator[tuple[bytes, bytes]], *, reverse: bool
) -> Iterator[tuple[bytes, R | bytes]]:
    """Yield rows in order; where both have a key the overlay wins, and its None hides the row.

    Both must be in the wanted order already. Rows of the database come out as bytes.
    """
    pending = iter(overlay)
    over = next(pending, None)
    for key, raw in rows:
        while over is not None and (over[0] > key if reverse else over[0] < key):
            if over[1] is not None:
                yield over[0], over[1]
            over = next(pending, None)
        if over is None or over[0] != key:
            yield key, raw
            continue
        if over[1] is not None:
            yield over[0], over[1]
        over = next(pending, None)
    while over is not None:
        if over[1] is not None:
            yield over[0], over[1]
        over = next(pending, None)
