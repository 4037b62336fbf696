"""Kafka's murmur2 against the values that Kafka's own tests pin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.murmur2 import murmur2, partition_for

#: Signed, as Java prints them.
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("data", "signed"), VECTORS.items())
def test_hash_is_the_one_that_kafka_gives(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed & 0xFFFFFFFF


def test_partition_clears_the_sign_instead_of_negating() -> None:
    # -973932308 without its sign bit is 1173551340; its absolute value would give partition 6.
    assert partition_for(b"21", 7) == 3


def word_by_word(data: bytes) -> int:
    """The algorithm as it is published: one 4-byte word after the other, then the rest."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    rest = data[whole:]
    for at in reversed(range(len(rest))):
        h ^= rest[at] << (8 * at)
    if rest:
        h = h * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)


@given(st.binary(max_size=600))
def test_hash_equals_the_published_algorithm(data: bytes) -> None:
    assert murmur2(data) == word_by_word(data)


@given(st.binary(), st.integers(1, 1000))
def test_partition_exists(key: bytes, count: int) -> None:
    assert 0 <= partition_for(key, count) < count
