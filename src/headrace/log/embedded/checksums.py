"""Checksums of the rows of the embedded log: SQLite keeps none of its pages, so a flipped bit would be read as data."""

from typing import TypeAlias

import google_crc32c
import msgspec

__all__ = ["Damage", "check", "checksum_of"]

#: What a column may hold.
Column: TypeAlias = int | str | bytes | None


class Damage(Exception):  # noqa: N818 - what was found, not yet what it means: `errors.reported` says that
    """Something in the file is not what was written.

    `what` reads like 'a-0 at offset 7', `wrong` like 'the chunk is damaged'; `next_offset` is where the records behind
    the damage begin, None where that does not help.
    """

    def __init__(self, what: str, wrong: str, next_offset: int | None = None) -> None:
        super().__init__(f"{what}: {wrong}")
        self.what = what
        self.wrong = wrong
        self.next_offset = next_offset


def checksum_of(*columns: Column) -> int:
    """Return the CRC-32C of some columns, as a number that SQLite stores in four bytes or five."""
    # The hook is for texts of a class of their own, which SQLite stores as any other.
    checksum: int = google_crc32c.value(msgspec.msgpack.encode(columns, enc_hook=str.__str__))
    return checksum


def check(what: str, checksum: object, *columns: Column) -> None:
    """Accept columns whose checksum is the one that was stored with them.

    Raises:
        Damage: it is another one.
    """
    if checksum_of(*columns) != checksum:
        raise Damage(what, "its checksum does not match")
