"""What lets the parts of a database vouch for each other: a mark and a link in each family.

A kill loses nothing that was written, a loss of power only the end of it. Damage is worse: a lost file takes away what
was written *before* something that is still there, and RocksDB says nothing of a log that is missing, or of a manifest
that ends too early. Positions without their rows are then taken for good.

# Invariant: what can be read of a store, its position with it, is a beginning of all that was ever written of it; or
# the database is refused.

- *The mark* is a random key in the store's family. Its first batch writes it, and its name into the default family;
  nobody writes either again. It is gone if all is lost from the first batch on, or the family was emptied or made anew.
- *The link.* Each batch that touches a store, its rows or its position, writes a link of its own behind the mark, and
  deletes that of the batch before. Where batches are lost but not those behind them, the link before the hole is still
  there, since only a lost batch deletes it: then there are two.
- The default family keeps the number of that link. It is another one where the families lost what the default family,
  and the position in it, did not: rocksdict's `close` flushes that one alone before all others.

- Files of rows that are taken in whole (`rocksdb_tables`) bring a link of their own.

They cost three small writes for each store of a batch. Guarded by `tests/state/test_damage.py`.
"""

import os
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = [
    "DEFAULT_FAMILY",
    "Ledger",
    "Mark",
    "cut_off",
    "link_key",
    "mark_key",
    "position_key",
    "why_untrusted",
]

#: Gives all keys of a store that belong to its mark.
Marking: TypeAlias = Callable[[str, "Mark"], list[bytes]]

DEFAULT_FAMILY = "default"

_POSITION = b"position:"
_MARK = b"family:"
_LINK = b"link:"

_LINK_BYTES = 8


def position_key(store: str) -> bytes:
    """Where the default family has the position of a store."""
    return _POSITION + store.encode()


def mark_key(store: str) -> bytes:
    """Where the default family has the mark of a store."""
    return _MARK + store.encode()


def link_key(store: str) -> bytes:
    """Where the default family has the number of a store's link."""
    return _LINK + store.encode()


@dataclass(slots=True)
class Mark:
    """The mark of a family, and the number of the link that is there; 0 before there is any.

    All of `key <= row key < end` belongs to it, and nobody gets to see it.
    """

    key: bytes
    link: int = 0

    @classmethod
    def new(cls) -> "Mark":
        """Make a mark. No record has its key but by guessing. Behind all windows, it does not expire with them."""
        return cls(b"\xff" + os.urandom(15))

    @property
    def end(self) -> bytes:
        """Behind all links."""
        return self.key + b"\xff" * (_LINK_BYTES + 1)

    def linked(self, number: int) -> bytes:
        """Row key of a link."""
        return self.key + number.to_bytes(_LINK_BYTES, "big")


@dataclass(slots=True)
class Ledger:
    """What the default family says of the stores."""

    marks: dict[str, Mark] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    positions: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, rows: Iterable[tuple[bytes, bytes]]) -> "Ledger":
        """Read the default family's rows."""
        ledger = cls()
        for key, value in rows:
            prefix, _, store = key.partition(b":")
            name = store.decode(errors="replace")
            if prefix + b":" == _MARK:
                ledger.marks[name] = Mark(value)
            elif prefix + b":" == _LINK:
                ledger.links[name] = int.from_bytes(value, "big")
            elif prefix + b":" == _POSITION:
                ledger.positions.add(name)
        for name, mark in ledger.marks.items():
            mark.link = ledger.links.get(name, 0)
        return ledger


def why_untrusted(
    ledger: Ledger,
    families: Set[str],
    *,
    marking: Marking,
    is_empty: Callable[[str], bool],
) -> str | None:
    """Say why a database cannot be trusted; None if it can.

    `families` are there beside the default one. A store that is `cut_off` is no reason: nothing vouches for its rows,
    and nobody asks.
    """
    unmarked = [store for store in ledger.positions | ledger.links.keys() if store not in ledger.marks]
    # A family of which nothing is known was made, and its first batch was not written.
    unmarked += [store for store in families if store not in ledger.marks and not is_empty(store)]
    if unmarked:
        return (
            f"nothing vouches for the rows of store {min(unmarked)!r}: "
            "a version before this one wrote them, or a part of them is lost"
        )
    for store, mark in sorted(ledger.marks.items()):
        if store not in families:
            return f"the rows of store {store!r} are gone"
        found = marking(store, mark)
        is_cut_off = store not in ledger.positions and _goes_further(mark, found)
        if found != [mark.key, mark.linked(mark.link)] and not is_cut_off:
            return f"the rows of store {store!r} are not all there that its position was written for"
    return None


def cut_off(ledger: Ledger, marking: Marking) -> list[str]:
    """Return the stores that have taken in files of rows, and have been left before they were given a position."""
    unplaced = sorted(ledger.marks.keys() - ledger.positions)
    return [
        store for store in unplaced if _goes_further(ledger.marks[store], marking(store, ledger.marks[store]))
    ]


def _goes_further(mark: Mark, found: list[bytes]) -> bool:
    """Whether links of a store go on behind the one that the default family knows."""
    return mark.key in found and found[-1] > mark.linked(mark.link)
