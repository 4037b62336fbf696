"""Kafka's murmur2, which decides the partition of a key: the same bytes go to the same partition as from Java.

Source: `Utils.murmur2` and `Utils.toPositive` of Kafka's clients, on unsigned numbers instead of Java's signed ones.
"""

from struct import unpack_from

__all__ = ["murmur2", "partition_for"]

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF

#: Formats for a key's whole 4-byte words, by their number. Building the format text costs as much as hashing a word.
_FORMATS = tuple(f"<{count}I" for count in range(65))


def murmur2(data: bytes) -> int:
    """Return the 32-bit hash as an unsigned number.

    Cost: about 0.6 µs for 8 bytes, 1.4 µs for 24, and 0.18 µs for each further 4 (CPython 3.11). The compiled codec
    hashes a whole column where it is installed.
    """
    length = len(data)
    words = length >> 2
    h = _SEED ^ length
    # Literals, not names, in the loop; and one mask for the xor of two products instead of one for each.
    for k in unpack_from(_FORMATS[words] if words < 65 else f"<{words}I", data):
        k = k * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 ^ (k ^ k >> 24) * 0x5BD1E995) & 0xFFFFFFFF
    tail = length & 3
    if tail:
        h = (h ^ int.from_bytes(data[-tail:], "little")) * _MULTIPLIER & _MASK
    h = (h ^ h >> 13) * _MULTIPLIER & _MASK
    return h ^ h >> 15


def partition_for(key: bytes, count: int) -> int:
    """Return the partition of a key in a topic of `count` partitions, as Kafka's default partitioner does."""
    # The sign bit is cleared, not negated: an absolute value would send a quarter of the keys elsewhere than Java does.
    return (murmur2(key) & 0x7FFFFFFF) % count
